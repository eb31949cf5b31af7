//! Users and what is kept of their passwords.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use datafusion_postgres::pgwire::{
    api::auth::{
        AuthSource, LoginInfo, Password,
        sasl::scram::{SCRAM_ITERATIONS, gen_salted_password, random_nonce},
    },
    error::PgWireResult,
};

use crate::{
    error::{Error, Result},
    settings::User,
};

/// Salted passwords by user. What is kept can't be turned back into a password.
pub(crate) struct Users {
    known: HashMap<String, Password>,
    /// Salts of unknown users come from this, so that they look like those of known ones.
    secret: String,
    /// Salts that were given for unknown users would tell them apart if they changed.
    unknown: Mutex<HashMap<String, Password>>,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").field("names", &self.known.keys()).finish_non_exhaustive()
    }
}

impl Users {
    /// Those of the settings; `None`: there are none.
    pub(crate) fn new(users: &[User]) -> Result<Option<Self>> {
        let mut known = HashMap::new();
        for user in users {
            let wrong = |what| Error::User { name: user.name.clone(), what };
            if user.name.is_empty() || user.name.contains('\0') {
                return Err(wrong("has no usable name"));
            }
            if user.password.is_empty() {
                return Err(wrong("has an empty password: give one"));
            }
            let salt = random_nonce().into_bytes();
            let salted = gen_salted_password(&user.password, &salt, SCRAM_ITERATIONS);
            if known.insert(user.name.clone(), Password::new(Some(salt), salted)).is_some() {
                return Err(wrong("is given twice"));
            }
        }
        Ok((!known.is_empty()).then(|| Self { known, secret: random_nonce(), unknown: Mutex::default() }))
    }

    /// What an unknown user is asked: it looks like the question to a known one, and nothing answers it.
    fn nobody(&self, name: &str) -> Password {
        /// More than are worth remembering.
        const REMEMBERED: usize = 1000;
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() >= REMEMBERED {
            unknown.clear();
        }
        let made = || {
            let derived = gen_salted_password(name, self.secret.as_bytes(), 1);
            let salt = derived.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>();
            Password::new(Some(salt.into_bytes()), random_nonce().into_bytes())
        };
        unknown.entry(name.to_owned()).or_insert_with(made).clone()
    }
}

#[async_trait]
impl AuthSource for Users {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let name = login.user().unwrap_or_default();
        Ok(self.known.get(name).cloned().unwrap_or_else(|| self.nobody(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_needs_a_password() {
        let user = |name: &str, password: &str| User { name: name.to_owned(), password: password.to_owned() };
        for users in [vec![user("ann", "")], vec![user("", "x")], vec![user("ann", "x"), user("ann", "y")]] {
            assert!(matches!(Users::new(&users), Err(Error::User { .. })), "{users:?}");
        }
        assert!(!format!("{:?}", user("ann", "secret")).contains("secret"));
    }

    #[test]
    fn an_unknown_user_gets_the_same_salt_every_time() {
        let users = Users::new(&[User { name: "ann".to_owned(), password: "x".to_owned() }]).unwrap().unwrap();
        assert_eq!(users.nobody("bob").salt(), users.nobody("bob").salt());
        assert_ne!(users.nobody("bob").salt(), users.nobody("eve").salt());
        assert_eq!(users.nobody("bob").salt().map(<[u8]>::len), users.known["ann"].salt().map(<[u8]>::len));
    }
}
