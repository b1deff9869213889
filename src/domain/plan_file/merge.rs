//! What a client takes from the tables that are for all clients.

use serde_json::{Map, Value as Json};

/// Fills each client with the options of `[defaults]` and the settings of
/// `[retry]` and `[failure]` that it does not set itself.
pub(super) fn spread(plan: &mut Json) {
    let shared = ["defaults", "retry", "failure"].map(|key| table(&plan[key]));
    let [mut defaults, retry, failure] = shared;
    // On real hosts IBM's own nimadm does the work, unless the plan says otherwise.
    if let Some("ssh" | "local") = plan["estate"]["kind"].as_str() {
        defaults.entry("driver").or_insert_with(|| Json::from("nimadm"));
    }
    for client in plan["client"].as_array_mut().into_iter().flatten() {
        let Json::Object(client) = client else { continue };
        let without = client.get("without").and_then(Json::as_array).cloned().unwrap_or_default();
        for (key, value) in &defaults {
            if !without.iter().any(|name| name == key) {
                client.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        for (name, settings) in [("retry", &retry), ("failure", &failure)] {
            let own = client.entry(name).or_insert_with(|| Json::Object(Map::new()));
            let Json::Object(own) = own else { continue };
            for (key, value) in settings {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

fn table(value: &Json) -> Map<String, Json> {
    value.as_object().cloned().unwrap_or_default()
}
