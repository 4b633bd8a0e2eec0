//! SQLSTATE codes: the five characters an error is known by.
//! (PostgreSQL documentation, appendix "PostgreSQL Error Codes".)

use std::fmt;

/// A five-character error code of digits and upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlState([u8; 5]);

/// Declares the codes Trunkline raises or looks for.
macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        impl SqlState {
            $($(#[$doc])+ pub const $name: Self = Self(*$code);)+
        }
    };
}

codes! {
    /// 00000 `successful_completion`.
    SUCCESSFUL_COMPLETION = b"00000";
    /// 01000 `warning`.
    WARNING = b"01000";
    /// 08000 `connection_exception`.
    CONNECTION_EXCEPTION = b"08000";
    /// 08001 `sqlclient_unable_to_establish_sqlconnection`: no server could be reached.
    CANNOT_CONNECT = b"08001";
    /// 08003 `connection_does_not_exist`.
    CONNECTION_DOES_NOT_EXIST = b"08003";
    /// 08004 `sqlserver_rejected_establishment_of_sqlconnection`.
    CONNECTION_REJECTED = b"08004";
    /// 08006 `connection_failure`: the server went away.
    CONNECTION_FAILURE = b"08006";
    /// 08007 `transaction_resolution_unknown`: a commit may or may not have happened.
    TRANSACTION_RESOLUTION_UNKNOWN = b"08007";
    /// 08P01 `protocol_violation`.
    PROTOCOL_VIOLATION = b"08P01";
    /// 0A000 `feature_not_supported`.
    FEATURE_NOT_SUPPORTED = b"0A000";
    /// 22021 `character_not_in_repertoire`: bytes not valid in the encoding.
    CHARACTER_NOT_IN_REPERTOIRE = b"22021";
    /// 22023 `invalid_parameter_value`.
    INVALID_PARAMETER_VALUE = b"22023";
    /// 25001 `active_sql_transaction`: not allowed inside a transaction block.
    ACTIVE_SQL_TRANSACTION = b"25001";
    /// 25006 `read_only_sql_transaction`: a write where only reads may run.
    READ_ONLY_SQL_TRANSACTION = b"25006";
    /// 25P01 `no_active_sql_transaction`.
    NO_ACTIVE_SQL_TRANSACTION = b"25P01";
    /// 25P02 `in_failed_sql_transaction`.
    IN_FAILED_SQL_TRANSACTION = b"25P02";
    /// 25P03 `idle_in_transaction_session_timeout`.
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03";
    /// 25P04 `transaction_timeout`.
    TRANSACTION_TIMEOUT = b"25P04";
    /// 26000 `invalid_sql_statement_name`: no such prepared statement.
    INVALID_SQL_STATEMENT_NAME = b"26000";
    /// 28000 `invalid_authorization_specification`.
    INVALID_AUTHORIZATION = b"28000";
    /// 28P01 `invalid_password`.
    INVALID_PASSWORD = b"28P01";
    /// 34000 `invalid_cursor_name`: no such portal.
    INVALID_CURSOR_NAME = b"34000";
    /// 3D000 `invalid_catalog_name`: no such database.
    INVALID_CATALOG_NAME = b"3D000";
    /// 3F000 `invalid_schema_name`.
    UNDEFINED_SCHEMA = b"3F000";
    /// 40001 `serialization_failure`: safe to run the transaction again.
    SERIALIZATION_FAILURE = b"40001";
    /// 40003 `statement_completion_unknown`.
    STATEMENT_COMPLETION_UNKNOWN = b"40003";
    /// 40P01 `deadlock_detected`.
    DEADLOCK_DETECTED = b"40P01";
    /// 42501 `insufficient_privilege`.
    INSUFFICIENT_PRIVILEGE = b"42501";
    /// 42601 `syntax_error`.
    SYNTAX_ERROR = b"42601";
    /// 42622 `name_too_long`.
    NAME_TOO_LONG = b"42622";
    /// 42703 `undefined_column`.
    UNDEFINED_COLUMN = b"42703";
    /// 42704 `undefined_object`: for instance an unknown setting.
    UNDEFINED_OBJECT = b"42704";
    /// 42883 `undefined_function`.
    UNDEFINED_FUNCTION = b"42883";
    /// 42P01 `undefined_table`.
    UNDEFINED_TABLE = b"42P01";
    /// 42P03 `duplicate_cursor`.
    DUPLICATE_CURSOR = b"42P03";
    /// 42P05 `duplicate_prepared_statement`.
    DUPLICATE_PREPARED_STATEMENT = b"42P05";
    /// 53000 `insufficient_resources`.
    INSUFFICIENT_RESOURCES = b"53000";
    /// 53200 `out_of_memory`.
    OUT_OF_MEMORY = b"53200";
    /// 53300 `too_many_connections`.
    TOO_MANY_CONNECTIONS = b"53300";
    /// 53400 `configuration_limit_exceeded`.
    CONFIGURATION_LIMIT_EXCEEDED = b"53400";
    /// 54000 `program_limit_exceeded`.
    PROGRAM_LIMIT_EXCEEDED = b"54000";
    /// 55000 `object_not_in_prerequisite_state`.
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000";
    /// 55P03 `lock_not_available`.
    LOCK_NOT_AVAILABLE = b"55P03";
    /// 57000 `operator_intervention`.
    OPERATOR_INTERVENTION = b"57000";
    /// 57014 `query_canceled`.
    QUERY_CANCELED = b"57014";
    /// 57P01 `admin_shutdown`: the server was told to stop, or the session was terminated.
    ADMIN_SHUTDOWN = b"57P01";
    /// 57P02 `crash_shutdown`: another server process crashed.
    CRASH_SHUTDOWN = b"57P02";
    /// 57P03 `cannot_connect_now`: starting, stopping or recovering.
    CANNOT_CONNECT_NOW = b"57P03";
    /// 57P04 `database_dropped`.
    DATABASE_DROPPED = b"57P04";
    /// 57P05 `idle_session_timeout`.
    IDLE_SESSION_TIMEOUT = b"57P05";
    /// XX000 `internal_error`.
    INTERNAL_ERROR = b"XX000";
}

impl SqlState {
    /// The code in `bytes`, when they are five digits or upper-case letters.
    pub const fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Some(code) = bytes.first_chunk::<5>() else { return None };
        if bytes.len() != 5 {
            return None;
        }
        let mut rest: &[u8] = code;
        while let [first, tail @ ..] = rest {
            if !first.is_ascii_digit() && !first.is_ascii_uppercase() {
                return None;
            }
            rest = tail;
        }
        Some(Self(*code))
    }

    /// The five characters.
    pub const fn as_bytes(&self) -> &[u8; 5] {
        &self.0
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in, by the constants or by `from_bytes`.
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// The first two characters: the class the code belongs to, such as `08` for connection exceptions.
    pub const fn class(&self) -> [u8; 2] {
        let [first, second, ..] = self.0;
        [first, second]
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_five_digits_or_capitals_make_a_code() {
        assert_eq!(SqlState::from_bytes(b"28P01"), Some(SqlState::INVALID_PASSWORD));
        for wrong in [&b""[..], b"28P0", b"28P011", b"28p01", b"28P0\0", b"28P0\xff"] {
            assert_eq!(SqlState::from_bytes(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_code_prints_as_its_characters_and_knows_its_class() {
        assert_eq!(SqlState::PROTOCOL_VIOLATION.to_string(), "08P01");
        assert_eq!(SqlState::PROTOCOL_VIOLATION.class(), *b"08");
        assert_eq!(format!("{:?}", SqlState::INTERNAL_ERROR), "SqlState(XX000)");
    }
}
