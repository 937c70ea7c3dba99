//! Methods as bits: one per name that the table mentions, so that a set is one word.

/// Matches every method, also those that the table does not mention.
pub const ANY: u64 = u64::MAX;

/// Stands for all methods that the table does not mention.
const OTHER: u64 = 1 << MAX_METHODS;

/// One bit of the word is [`OTHER`].
const MAX_METHODS: usize = 63;

/// The names that a table mentions, in alphabetical order.
#[derive(Debug, Default)]
pub struct MethodNames {
    names: Vec<String>,
}

impl MethodNames {
    /// Collects the names of all routes.
    pub fn collect<'a>(methods: impl Iterator<Item = &'a String>) -> Result<Self, String> {
        let mut names: Vec<String> = methods.cloned().collect();
        if names.iter().any(|name| name == "GET") {
            names.push("HEAD".to_owned());
        }
        names.sort_unstable();
        names.dedup();
        if names.len() > MAX_METHODS {
            return Err(format!(
                "the routes name {} different methods; at most {MAX_METHODS} are possible",
                names.len()
            ));
        }
        Ok(Self { names })
    }

    /// The bit of one method. Methods are case-sensitive (RFC 9110 §9.1).
    pub fn bit(&self, method: &[u8]) -> u64 {
        self.names
            .iter()
            .position(|name| name.as_bytes() == method)
            .map_or(OTHER, |index| 1 << index)
    }

    /// The set of `methods`; none means any. HEAD is allowed where GET is (RFC 9110 §9.3.2).
    pub fn set(&self, methods: &[String]) -> u64 {
        if methods.is_empty() {
            return ANY;
        }
        let listed = methods.iter().map(|name| self.bit(name.as_bytes()));
        let head = if methods.iter().any(|name| name == "GET") {
            self.bit(b"HEAD")
        } else {
            0
        };
        listed.fold(head, |set, bit| set | bit)
    }

    /// The names in `set`, in alphabetical order.
    pub fn names(&self, set: u64) -> impl Iterator<Item = &str> {
        self.names
            .iter()
            .enumerate()
            .filter(move |(index, _)| set >> index & 1 == 1)
            .map(|(_, name)| name.as_str())
    }
}

/// RFC 9110 §5.6.2: what methods and header names are made of.
pub fn is_token(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(valid)
}
