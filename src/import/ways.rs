//! What the administrator wants of an import.

/// How it is imported.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    /// Names end before their first point: `lpar01` of `lpar01.example.com`.
    pub short_names: bool,
    /// Ansible: only hosts of these groups; their order is that of the waves.
    pub groups: Vec<String>,
}
