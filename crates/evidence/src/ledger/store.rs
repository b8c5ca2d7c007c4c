//! The only module that knows which database it is: connections, their settings, and how a ledger file is made.
//!
//! Statements use what SQLite and PostgreSQL share: `$1`, BIGINT, TEXT, BLOB; no booleans, no timestamps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, ConnectOptions as _, Connection as _, Row as _, Transaction};

use super::LedgerError;

/// One row of a result.
pub(crate) type Row = sqlx::any::AnyRow;
/// A transaction under way; dropping it undoes it.
pub(crate) type Tx = Transaction<'static, Any>;

/// Long enough for another process's append (a few milliseconds each) and short enough for an operator to wait.
const BUSY: &str = "PRAGMA busy_timeout = 5000";
/// How long a task waits for the one connection: the busy wait of those before it, with room.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(30);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Making the file.
    Make,
    Write,
    Read,
    /// Reading where not even SQLite's own lock files can be made.
    ReadFrozen,
}

/// An open database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Which file had that name when it was opened; `None` where files have no such number.
    file: Option<FileId>,
    pool: AnyPool,
}

/// Device and number of a file: a name can be given to another one.
type FileId = (u64, u64);

impl Store {
    /// Opens the file for writing, or makes it with these statements.
    pub(super) async fn open(path: &Path, schema: &[String]) -> Result<Self, LedgerError> {
        match fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, schema).await?,
            Err(source) => {
                return Err(LedgerError::CannotOpen {
                    path: path.to_owned(),
                    source: source.into(),
                });
            }
        }
        check_header(path)?;
        let store = Self::connect(path, Access::Write).await?;
        // SQLite opens a write-protected file for reading without a word. Better to learn it now than in the middle of a drill.
        let tx = store.begin().await?;
        tx.rollback().await.map_err(|source| store.failed(source))?;
        Ok(store)
    }

    /// Opens the file for reading.
    pub(super) async fn open_read_only(path: &Path) -> Result<Self, LedgerError> {
        check_header(path)?;
        let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
        match Self::connect_and_read(path, Access::Read).await {
            // A folder that nobody may write to: without a log beside it the file is all there is, and stands still.
            Err(LedgerError::CannotOpen { .. } | LedgerError::ReadOnly { .. }) if !has_log => {
                Self::connect_and_read(path, Access::ReadFrozen).await
            }
            result => result,
        }
    }

    /// Connects and reads once: only then does SQLite look at the file.
    async fn connect_and_read(path: &Path, access: Access) -> Result<Self, LedgerError> {
        let store = Self::connect(path, access).await?;
        store.rows(query("SELECT COUNT(*) FROM sqlite_schema")).await?;
        Ok(store)
    }

    async fn connect(path: &Path, access: Access) -> Result<Self, LedgerError> {
        sqlx::any::install_default_drivers();
        let url = url(path, access)?;
        let options =
            AnyConnectOptions::from_str(&url).map_err(|source| LedgerError::of(path, source))?;
        let settings: &[&'static str] = match access {
            Access::Make => &[BUSY],
            // FULL: a commit returns once its log is on disk, so that it survives a loss of power and not only a crash of ours.
            Access::Write => &[
                BUSY,
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
                "PRAGMA trusted_schema = OFF",
                "PRAGMA cell_size_check = ON",
            ],
            Access::Read | Access::ReadFrozen => &[
                BUSY,
                "PRAGMA query_only = ON",
                "PRAGMA trusted_schema = OFF",
                "PRAGMA cell_size_check = ON",
            ],
        };
        // The pool would try again and again when a setting fails, and in the end say nothing but that its time is over. A first
        // connection of our own tells why.
        let failed = |source| LedgerError::of(path, source);
        let mut first = options.connect().await.map_err(failed)?;
        for setting in settings {
            sqlx::query(*setting).execute(&mut first).await.map_err(failed)?;
        }
        // One connection: SQLite has one writer anyway, and within a process nobody meets SQLITE_BUSY.
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_WITHIN)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for setting in settings {
                        sqlx::query(*setting).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(failed)?;
        first.close().await.map_err(failed)?;
        Ok(Self { path: path.to_owned(), file: file_id(path), pool })
    }

    /// Returns the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a transaction that will write: it waits for the lock now and not in its middle, where SQLite could not wait.
    pub(crate) async fn begin(&self) -> Result<Tx, LedgerError> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        match self.pool.begin_with(BEGIN).await {
            // On a full disk SQLite may end a transaction by itself; the driver goes on counting it, and a new connection counts anew.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let counting = self.pool.acquire().await.map_err(|source| self.failed(source))?;
                counting.close().await.map_err(|source| self.failed(source))?;
                self.pool.begin_with(BEGIN).await
            }
            result => result,
        }
        .map_err(|source| self.failed(source))
    }

    /// Begins a transaction that only reads: all its reads see one state.
    pub(crate) async fn begin_read(&self) -> Result<Tx, LedgerError> {
        self.pool.begin().await.map_err(|source| self.failed(source))
    }

    /// Ends a transaction; once this returns, what it wrote is on disk, and what it read is there for others to read.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<(), LedgerError> {
        tx.commit().await.map_err(|source| self.failed(source))?;
        self.still_there()
    }

    /// Refuses a file that lost its name: SQLite goes on with it and says nothing, and nobody would ever find what it holds.
    fn still_there(&self) -> Result<(), LedgerError> {
        if self.file.is_some() && file_id(&self.path) != self.file {
            return Err(LedgerError::Gone { path: self.path.clone() });
        }
        Ok(())
    }

    /// Runs one statement outside of a transaction and returns its rows.
    pub(crate) async fn rows(&self, query: Query) -> Result<Vec<Row>, LedgerError> {
        let rows = query.fetch_all(&self.pool).await.map_err(|source| self.failed(source))?;
        self.still_there()?;
        Ok(rows)
    }

    /// Runs one statement in a transaction and returns its rows.
    pub(crate) async fn rows_in(&self, tx: &mut Tx, query: Query) -> Result<Vec<Row>, LedgerError> {
        query.fetch_all(&mut **tx).await.map_err(|source| self.failed(source))
    }

    /// Sorts an error of the database.
    pub(crate) fn failed(&self, source: sqlx::Error) -> LedgerError {
        LedgerError::of(&self.path, source)
    }

    /// Returns an error for contents that make no sense.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), what: what.into(), source: None }
    }

    /// Reads a text.
    pub(crate) fn text(&self, row: &Row, column: usize) -> Result<String, LedgerError> {
        row.try_get(column).map_err(|source| self.failed(source))
    }

    /// Reads a number that is never negative.
    pub(crate) fn number(&self, row: &Row, column: usize) -> Result<u64, LedgerError> {
        let number: i64 = row.try_get(column).map_err(|source| self.failed(source))?;
        u64::try_from(number).map_err(|error| {
            self.damaged(format!("the number {number} in column {column}: {error}"))
        })
    }

    /// Closes the connection and waits for it; the log is then folded into the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Returns which file has this name now.
#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn file_id(_path: &Path) -> Option<FileId> {
    None
}

/// A statement with its values.
pub(crate) type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

/// Makes a statement.
pub(crate) fn query(statement: &'static str) -> Query {
    sqlx::query(statement)
}

/// Reads a value as bytes whatever it is; `None` for NULL and for what cannot be read.
pub(super) fn bytes(row: &Row, column: usize) -> Option<Vec<u8>> {
    // A damaged file may hold any type in any column: what does not fit is unreadable, and the caller says where.
    row.try_get::<Vec<u8>, _>(column).ok()
}

/// Refuses what is no database before SQLite sees it: an empty file would be taken for a new one.
fn check_header(path: &Path) -> Result<(), LedgerError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let mut header = Vec::new();
    let file = File::open(path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            LedgerError::Missing { path: path.to_owned() }
        } else {
            LedgerError::CannotOpen { path: path.to_owned(), source: source.into() }
        }
    })?;
    file.take(MAGIC.len() as u64).read_to_end(&mut header).map_err(|source| {
        if source.kind() == io::ErrorKind::IsADirectory {
            LedgerError::NotADatabase { path: path.to_owned() }
        } else {
            LedgerError::Io { path: path.to_owned(), source: source.into() }
        }
    })?;
    if header == MAGIC {
        return Ok(());
    }
    if MAGIC.starts_with(&header) {
        let what = "nothing is left of it but its name".to_owned();
        return Err(LedgerError::Damaged { path: path.to_owned(), what, source: None });
    }
    Err(LedgerError::NotADatabase { path: path.to_owned() })
}

/// Makes a new ledger beside its place and moves it there whole: a crash leaves either none or a complete one.
async fn make(path: &Path, schema: &[String]) -> Result<(), LedgerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let not_writable =
        |source: io::Error| LedgerError::FolderNotWritable { folder: folder.to_owned(), source };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(not_writable)?;

    let chance = crate::fingerprint::chance().map_err(LedgerError::Chance)?;
    let making = beside(path, &format!(".making-{}", super::hex(&chance[..8])));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&making).map_err(not_writable)?;
    let made = fill(&making, schema).await;
    let moved = made.and_then(|()| {
        // A link does not replace: where another process was quicker, its ledger stays.
        match fs::hard_link(&making, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // File systems without links.
            Err(_) if !path.exists() => fs::rename(&making, path).map_err(not_writable)?,
            Err(_) => {}
        }
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(not_writable)
    });
    match fs::remove_file(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound && moved.is_ok() => {
            Err(not_writable(error))
        }
        Ok(()) | Err(_) => moved,
    }
}

async fn fill(path: &Path, schema: &[String]) -> Result<(), LedgerError> {
    let store = Store::connect(path, Access::Make).await?;
    let mut tx = store.begin().await?;
    for statement in schema {
        sqlx::query(sqlx::AssertSqlSafe(statement.as_str()))
            .execute(&mut *tx)
            .await
            .map_err(|source| store.failed(source))?;
    }
    store.commit(tx).await?;
    store.close().await;
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| LedgerError::Io { path: path.to_owned(), source: source.into() })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn url(path: &Path, access: Access) -> Result<String, LedgerError> {
    let text = path.to_str().ok_or_else(|| LedgerError::CannotOpen {
        path: path.to_owned(),
        source: "its name is not UTF-8".into(),
    })?;
    let mut url = "sqlite:".to_owned();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url.push_str(match access {
        Access::Make | Access::Write => "?mode=rw",
        Access::Read => "?mode=ro",
        Access::ReadFrozen => "?mode=ro&immutable=1",
    });
    Ok(url)
}
