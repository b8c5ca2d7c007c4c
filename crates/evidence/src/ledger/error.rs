//! What can be wrong with a ledger, whose doing it is, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::RecordError;

/// What could not be done with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is none yet.
    #[error("there is no ledger at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Its folder could not be made or written to.
    #[error("cannot make files in {}, the ledger's folder", folder.display())]
    FolderNotWritable {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file could not be opened.
    #[error("cannot open the ledger {}", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its file was deleted or moved while it was open.
    #[error("the ledger {} was deleted, moved or replaced while it was in use", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// The file may only be read.
    #[error("the ledger {} is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// No room is left.
    #[error("the disk of the ledger {} is full", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// Another process held it for too long.
    #[error("the ledger {} is locked by another process, and stayed so for 5 seconds", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The file is something else.
    #[error("{} is no SQLite database, and so no ledger", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database is somebody else's.
    #[error("{} is a SQLite database, but not a ledger of surestep's", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A later surestep made it.
    #[error("the ledger {} has format {format}, which is newer than this surestep (it knows up to {})", path.display(), super::LEDGER_FORMAT)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: i64,
    },
    /// Its bytes make no sense any more.
    #[error("the ledger {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// The cause, where a lower level found it.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// A record is not what was appended.
    #[error("record {seq} of the ledger {} was changed after it was written", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// The record's sequence number.
        seq: u64,
    },
    /// A record cannot be understood.
    #[error("record {seq} of the ledger {} cannot be used", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The record's sequence number.
        seq: u64,
        /// The cause.
        #[source]
        source: RecordError,
    },
    /// Reading or writing failed below the database.
    #[error("reading or writing the ledger {} failed", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another drill took over: this one may not move traffic any more.
    #[error(
        "another drill of {service} in {environment} has taken over (this one had number {fence})"
    )]
    LeaseLost {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
        /// The fencing number of ours.
        fence: u64,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for the ledger's key")]
    Chance(#[source] getrandom::Error),
    /// A bug of ours, or of the database's.
    #[error("surestep asked the ledger {} for something that it refused", path.display())]
    Internal {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
}

/// Whose doing an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerFault {
    /// The machine's: permissions, disk, another process.
    Environment,
    /// The evidence itself cannot be trusted.
    Evidence,
    /// Ours: a bug.
    Internal,
}

impl LedgerError {
    /// Returns whose doing it is.
    pub fn fault(&self) -> LedgerFault {
        match self {
            Self::Missing { .. }
            | Self::FolderNotWritable { .. }
            | Self::CannotOpen { .. }
            | Self::Gone { .. }
            | Self::ReadOnly { .. }
            | Self::DiskFull { .. }
            | Self::Locked { .. }
            | Self::NotADatabase { .. }
            | Self::NotALedger { .. }
            | Self::Newer { .. }
            | Self::Io { .. }
            | Self::LeaseLost { .. }
            | Self::Chance(_) => LedgerFault::Environment,
            Self::Damaged { .. } | Self::Altered { .. } | Self::Record { .. } => {
                LedgerFault::Evidence
            }
            Self::Internal { .. } => LedgerFault::Internal,
        }
    }

    /// Returns what to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "run `surestep check` or `surestep drill` first, or correct `ledger` in the configuration"
            }
            Self::FolderNotWritable { .. } => {
                "give this user write permission on the folder, or set `ledger` to another place"
            }
            Self::CannotOpen { .. } => {
                "check that the path in `ledger` is a file that this user may read and write"
            }
            Self::Gone { .. } => {
                "find out who took it, put it back if it was moved, and run again: what this run wrote counts for nothing"
            }
            Self::ReadOnly { .. } => {
                "give this user write permission on the file and its folder; `surestep can` and `surestep evidence` work without"
            }
            Self::DiskFull { .. } => {
                "free some space and run again; what was appended before is safe"
            }
            Self::Locked { .. } => {
                "wait for the other surestep to end, or find who holds the file open (`fuser` names it)"
            }
            Self::NotADatabase { .. } | Self::NotALedger { .. } => {
                "set `ledger` to another path; surestep does not touch this file"
            }
            Self::Newer { .. } => "use the surestep that wrote it, or a later one",
            Self::Damaged { .. } => {
                "keep the file for inquiry, restore a copy or move it away, and make new evidence with `surestep drill`"
            }
            Self::Altered { .. } => {
                "run `surestep evidence verify` to see all changes; make new evidence in a new ledger"
            }
            Self::Record { .. } => {
                "use the surestep that wrote it, or make new evidence in a new ledger"
            }
            Self::Io { .. } => "check the disk and the file system of the ledger",
            Self::LeaseLost { .. } => {
                "look at the other drill before starting a new one; see `surestep route show` for where traffic is"
            }
            Self::Chance(_) => "check that /dev/urandom can be read here",
            Self::Internal { .. } => {
                "this is a bug of surestep's: please report it with the text above"
            }
        }
    }

    /// Sorts an error of the database. Its code decides, never its wording.
    pub(super) fn of(path: &Path, source: sqlx::Error) -> Self {
        /// The lowest byte of SQLite's extended result code is the class of the error.
        fn class(source: &sqlx::Error) -> Option<u32> {
            let code = source.as_database_error()?.code()?;
            code.parse::<u32>().ok().map(|code| code & 0xff)
        }
        let path = path.to_owned();
        match class(&source) {
            // SQLITE_BUSY, SQLITE_LOCKED
            Some(5 | 6) => Self::Locked { path, source },
            // SQLITE_PERM, SQLITE_CANTOPEN, SQLITE_AUTH
            Some(3 | 14 | 23) => Self::CannotOpen { path, source: source.into() },
            // SQLITE_READONLY
            Some(8) => Self::ReadOnly { path, source },
            // SQLITE_IOERR, SQLITE_NOLFS
            Some(10 | 22) => Self::Io { path, source: source.into() },
            // SQLITE_CORRUPT
            Some(11) => {
                let what = "the file is cut or overwritten".to_owned();
                Self::Damaged { path, what, source: Some(source) }
            }
            // SQLITE_FULL
            Some(13) => Self::DiskFull { path, source },
            // SQLITE_NOTADB
            Some(26) => Self::NotADatabase { path },
            Some(_) | None => Self::of_driver(path, source),
        }
    }

    fn of_driver(path: PathBuf, source: sqlx::Error) -> Self {
        if matches!(source, sqlx::Error::PoolTimedOut) {
            return Self::Locked { path, source };
        }
        let is_value = matches!(
            source,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound
        );
        if is_value {
            let what = "a stored value is not what surestep writes".to_owned();
            return Self::Damaged { path, what, source: Some(source) };
        }
        if matches!(source, sqlx::Error::Io(_)) {
            return Self::Io { path, source: source.into() };
        }
        // A missing table or column is SQLITE_ERROR: the schema is ours, and so is its absence.
        Self::Internal { path, source }
    }
}
