//! A disk in memory that can lose power, as an SQLite VFS.
//!
//! A write goes to the page cache and stays there until the file is synced. At
//! a chosen operation the power fails: from then on everything fails, and
//! [`Disk::after_power_loss`] gives a disk as it could be found afterwards.
//! Names of new files count as synced with the file itself, as ext4 and xfs do.

#![expect(unsafe_code, reason = "a VFS is a table of C functions; there is no other way in")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::ffi;

const SECTOR: usize = 512;

/// What becomes of writes that were not synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    /// None of them is there.
    All,
    /// All of them are.
    None,
    /// Each is there or not, by the seed.
    Some(u64),
    /// Each sector of each is there or not, by the seed.
    Torn(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, data) => put(bytes, *at, data),
            Change::Cut(length) => bytes.truncate(*length),
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

#[derive(Debug, Clone, Default)]
struct Stored {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Whether the name is on the disk.
    named: bool,
}

/// The disk, and when its power fails.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, Stored>,
    /// Shared memory of WAL indexes: gone with the power.
    shared: BTreeMap<String, Vec<Box<[u8]>>>,
    operations: u64,
    fails_at: Option<u64>,
    ticks: u64,
}

impl Disk {
    /// A disk that has one file.
    pub(crate) fn holding(name: &str, bytes: Vec<u8>) -> Disk {
        let file =
            Stored { cached: bytes.clone(), durable: bytes, unsynced: Vec::new(), named: true };
        Disk { files: BTreeMap::from([(name.to_owned(), file)]), ..Disk::default() }
    }

    /// Operations so far that could have been the last.
    pub(crate) fn operations(&self) -> u64 {
        self.operations
    }

    /// Lets the power fail at operation `at`, counted from the beginning.
    pub(crate) fn fail_at(&mut self, at: u64) {
        self.fails_at = Some(at);
    }

    fn is_off(&self) -> bool {
        self.fails_at.is_some_and(|at| self.operations > at)
    }

    /// Counts an operation that changes the disk; false once the power is off.
    fn operate(&mut self) -> bool {
        self.operations += 1;
        !self.is_off()
    }

    /// The disk as it may be found when the power is back.
    pub(crate) fn after_power_loss(&self, loss: Loss) -> Disk {
        let mut seed = match loss {
            Loss::Some(seed) | Loss::Torn(seed) => seed,
            Loss::All | Loss::None => 0,
        };
        let mut found = Disk::default();
        for (name, file) in &self.files {
            let named = file.named
                || match loss {
                    Loss::All => false,
                    Loss::None => true,
                    Loss::Some(_) | Loss::Torn(_) => chance(&mut seed).is_multiple_of(2),
                };
            if !named {
                continue;
            }
            let mut bytes = file.durable.clone();
            for change in &file.unsynced {
                survive(change, &mut bytes, loss, &mut seed);
            }
            let file =
                Stored { cached: bytes.clone(), durable: bytes, unsynced: vec![], named: true };
            found.files.insert(name.clone(), file);
        }
        found
    }
}

fn survive(change: &Change, bytes: &mut Vec<u8>, loss: Loss, seed: &mut u64) {
    match (loss, change) {
        (Loss::All, _) => {}
        (Loss::None, change) => change.apply(bytes),
        (Loss::Torn(_), Change::Write(at, data)) => {
            for (index, sector) in data.chunks(SECTOR).enumerate() {
                if chance(seed).is_multiple_of(2) {
                    put(bytes, at + index * SECTOR, sector);
                }
            }
        }
        (Loss::Some(_) | Loss::Torn(_), change) => {
            if chance(seed).is_multiple_of(2) {
                change.apply(bytes);
            }
        }
    }
}

/// A registered VFS over a [`Disk`]. Unregistered when it is dropped, after all
/// connections were closed.
pub(crate) struct Vfs {
    pub(crate) disk: Arc<Mutex<Disk>>,
    pub(crate) name: String,
    raw: *mut ffi::sqlite3_vfs,
    context: *mut Context,
    _name: CString,
}

struct Context {
    disk: Arc<Mutex<Disk>>,
    methods: ffi::sqlite3_io_methods,
}

/// What SQLite allocates for an open file.
#[repr(C)]
struct Open {
    base: ffi::sqlite3_file,
    context: *const Context,
    name: *mut String,
}

impl Vfs {
    pub(crate) fn new(name: &str, disk: Disk) -> Vfs {
        let disk = Arc::new(Mutex::new(disk));
        let c_name = CString::new(name).expect("a name without zeros");
        // SAFETY: all fields of both tables are optional functions, numbers or
        // pointers, for which zero is a value.
        let (mut methods, mut vfs): (ffi::sqlite3_io_methods, ffi::sqlite3_vfs) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        methods.iVersion = 2;
        methods.xClose = Some(close);
        methods.xRead = Some(read);
        methods.xWrite = Some(write);
        methods.xTruncate = Some(truncate);
        methods.xSync = Some(sync);
        methods.xFileSize = Some(size);
        methods.xLock = Some(lock);
        methods.xUnlock = Some(lock);
        methods.xCheckReservedLock = Some(reserved);
        methods.xFileControl = Some(control);
        methods.xSectorSize = Some(sector);
        methods.xDeviceCharacteristics = Some(characteristics);
        methods.xShmMap = Some(shm_map);
        methods.xShmLock = Some(shm_lock);
        methods.xShmBarrier = Some(shm_barrier);
        methods.xShmUnmap = Some(shm_unmap);
        let context = Box::into_raw(Box::new(Context { disk: Arc::clone(&disk), methods }));
        vfs.iVersion = 1;
        vfs.szOsFile = c_int::try_from(size_of::<Open>()).expect("a small struct");
        vfs.mxPathname = 512;
        vfs.zName = c_name.as_ptr();
        vfs.pAppData = context.cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        vfs.xFullPathname = Some(full_path);
        vfs.xRandomness = Some(randomness);
        vfs.xSleep = Some(sleep);
        vfs.xCurrentTime = Some(time);
        vfs.xGetLastError = Some(last_error);
        let raw = Box::into_raw(Box::new(vfs));
        // SAFETY: `raw` and its name live until `drop` unregisters them.
        assert_eq!(unsafe { ffi::sqlite3_vfs_register(raw, 0) }, ffi::SQLITE_OK);
        Vfs { disk, name: name.to_owned(), raw, context, _name: c_name }
    }
}

impl Drop for Vfs {
    fn drop(&mut self) {
        // SAFETY: both came from `Box::into_raw` in `new`, and SQLite forgets
        // them first.
        unsafe {
            ffi::sqlite3_vfs_unregister(self.raw);
            drop(Box::from_raw(self.raw));
            drop(Box::from_raw(self.context));
        }
    }
}

/// The open file behind what SQLite hands over.
///
/// # Safety
/// `file` was filled by [`open`] and is not closed.
unsafe fn parts<'a>(file: *mut ffi::sqlite3_file) -> (MutexGuard<'a, Disk>, &'a str) {
    // SAFETY: as the caller says; `Open` begins with what SQLite knows of it.
    unsafe {
        let open = &*file.cast::<Open>();
        ((*open.context).disk.lock().expect("no panic under the lock"), &*open.name)
    }
}

/// # Safety
/// `vfs` was registered by [`Vfs::new`].
unsafe fn disk<'a>(vfs: *mut ffi::sqlite3_vfs) -> MutexGuard<'a, Disk> {
    // SAFETY: as the caller says.
    unsafe { (*(*vfs).pAppData.cast::<Context>()).disk.lock().expect("no panic under the lock") }
}

fn at(number: i64) -> usize {
    usize::try_from(number).expect("a place in a small file")
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a VFS of ours, and room for an `Open`.
    unsafe {
        let mut disk = disk(vfs);
        (*file).pMethods = std::ptr::null();
        if disk.is_off() || name.is_null() {
            return ffi::SQLITE_CANTOPEN;
        }
        let name = CStr::from_ptr(name).to_str().expect("a name in UTF-8").to_owned();
        if !disk.files.contains_key(&name) {
            if flags & ffi::SQLITE_OPEN_CREATE == 0 {
                return ffi::SQLITE_CANTOPEN;
            }
            disk.files.insert(name.clone(), Stored::default());
        }
        if !out.is_null() {
            *out = flags;
        }
        let context = (*vfs).pAppData.cast::<Context>();
        let open = file.cast::<Open>();
        (*open).context = context;
        (*open).name = Box::into_raw(Box::new(name));
        (*open).base.pMethods = &raw const (*context).methods;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the name came from `Box::into_raw` in `open`, and a file is
    // closed once.
    unsafe { drop(Box::from_raw((*file.cast::<Open>()).name)) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let (length, offset) = (at(i64::from(length)), at(offset));
    // SAFETY: SQLite gives an open file and a buffer of `length` bytes.
    let ((disk, name), out) =
        unsafe { (parts(file), std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)) };
    out.fill(0);
    if disk.is_off() {
        return ffi::SQLITE_IOERR_READ;
    }
    let Some(stored) = disk.files.get(name) else { return ffi::SQLITE_IOERR_SHORT_READ };
    let there = stored.cached.len().saturating_sub(offset).min(length);
    if there > 0 {
        out[..there].copy_from_slice(&stored.cached[offset..offset + there]);
    }
    if there < length { ffi::SQLITE_IOERR_SHORT_READ } else { ffi::SQLITE_OK }
}

/// Changes a file's cache, if the power is on. What was under way when it
/// failed may or may not be there.
fn change(disk: &mut Disk, name: &str, change: Change, failure: c_int) -> c_int {
    let was_off = disk.is_off();
    let on = disk.operate();
    if was_off {
        return failure;
    }
    let Some(stored) = disk.files.get_mut(name) else { return failure };
    change.apply(&mut stored.cached);
    stored.unsynced.push(change);
    if on { ffi::SQLITE_OK } else { failure }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite gives an open file and a buffer of `length` bytes.
    let ((mut disk, name), data) = unsafe {
        let length = at(i64::from(length));
        (parts(file), std::slice::from_raw_parts(buffer.cast::<u8>(), length).to_vec())
    };
    change(&mut disk, name, Change::Write(at(offset), data), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: SQLite gives an open file.
    let (mut disk, name) = unsafe { parts(file) };
    change(&mut disk, name, Change::Cut(at(length)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let (mut disk, name) = unsafe { parts(file) };
    if !disk.operate() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    let Some(stored) = disk.files.get_mut(name) else { return ffi::SQLITE_IOERR_FSYNC };
    stored.durable = stored.cached.clone();
    stored.unsynced.clear();
    stored.named = true;
    ffi::SQLITE_OK
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: SQLite gives an open file and a place for the number.
    unsafe {
        let (disk, name) = parts(file);
        let length = disk.files.get(name).map_or(0, |stored| stored.cached.len());
        *out = i64::try_from(length).expect("a small file");
    }
    ffi::SQLITE_OK
}

// One connection at a time: there is nobody to lock out.
unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn reserved(_: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a place for the answer.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector(_: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let (page, size) = (at(i64::from(page)), at(i64::from(size)));
    // SAFETY: SQLite gives an open file and a place for the pointer. Pages are
    // boxed, so that they stay where they are.
    unsafe {
        let (mut disk, name) = parts(file);
        let pages = disk.shared.entry(name.to_owned()).or_default();
        *out = std::ptr::null_mut();
        if pages.len() <= page && extend == 0 {
            return ffi::SQLITE_OK;
        }
        while pages.len() <= page {
            pages.push(vec![0; size].into_boxed_slice());
        }
        *out = pages[page].as_mut_ptr().cast();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(_: *mut ffi::sqlite3_file, _: c_int, _: c_int, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let (mut disk, name) = unsafe { parts(file) };
    if delete != 0 {
        disk.shared.remove(name);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _sync: c_int,
) -> c_int {
    // SAFETY: SQLite gives a VFS of ours and a name.
    let (mut disk, name) =
        unsafe { (disk(vfs), CStr::from_ptr(name).to_str().expect("a name in UTF-8")) };
    if !disk.operate() {
        return ffi::SQLITE_IOERR_DELETE;
    }
    match disk.files.remove(name) {
        Some(_) => ffi::SQLITE_OK,
        None => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a VFS of ours, a name, and a place for the answer.
    unsafe {
        let name = CStr::from_ptr(name).to_str().expect("a name in UTF-8");
        *out = c_int::from(disk(vfs).files.contains_key(name));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a name and `room` bytes for it.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > at(i64::from(room)) {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(
    vfs: *mut ffi::sqlite3_vfs,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a VFS of ours and `length` bytes.
    unsafe {
        let mut disk = disk(vfs);
        let out = std::slice::from_raw_parts_mut(out.cast::<u8>(), at(i64::from(length)));
        for byte in out {
            *byte = (chance(&mut disk.ticks) & 0xff) as u8;
        }
    }
    length
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

unsafe extern "C" fn time(_: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite gives a place for the number.
    unsafe { *out = 2_461_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

/// A splitmix step: chance that is the same every time.
pub(crate) fn chance(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
