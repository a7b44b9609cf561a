//! Looks up names. "There is no such name" is a mistake of somebody's, "nobody answered" a passing trouble of the cluster's DNS:
//! they are told apart here.

use std::{net::IpAddr, time::Duration};

use dns_lookup::{LookupError, LookupErrorKind};
use futures::future::BoxFuture;

const TIMEOUT: Duration = Duration::from_secs(5);

/// What came of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The name has these addresses, at least one.
    Addresses(Vec<IpAddr>),
    /// There is no such name, or it has no address.
    NoSuchName,
    /// Nobody answered, or could.
    NoAnswer,
}

/// Looks up names.
pub trait Resolver: Send + Sync {
    /// The addresses of `name`.
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer> {
        let name = name.to_owned();
        Box::pin(async move {
            let look_up = tokio::task::spawn_blocking(move || {
                dns_lookup::lookup_host(&name).map(Iterator::collect::<Vec<_>>)
            });
            match tokio::time::timeout(TIMEOUT, look_up).await {
                Ok(Ok(result)) => answer(result),
                Ok(Err(_)) | Err(_) => Answer::NoAnswer,
            }
        })
    }
}

fn answer(result: Result<Vec<IpAddr>, LookupError>) -> Answer {
    match result {
        Ok(mut addresses) if !addresses.is_empty() => {
            addresses.sort_unstable();
            addresses.dedup();
            Answer::Addresses(addresses)
        }
        Ok(_) => Answer::NoSuchName,
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Answer::NoSuchName,
            _ => Answer::NoAnswer,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_is_told_from_one_that_nobody_answers_for() {
        // EAI_NONAME, EAI_NODATA, EAI_AGAIN, EAI_FAIL and EAI_SYSTEM of glibc
        for (code, expected) in [
            (-2, Answer::NoSuchName),
            (-5, Answer::NoSuchName),
            (-3, Answer::NoAnswer),
            (-4, Answer::NoAnswer),
            (-11, Answer::NoAnswer),
        ] {
            assert_eq!(answer(Err(LookupError::new(code))), expected, "{code}");
        }
        assert_eq!(answer(Ok(vec![])), Answer::NoSuchName);
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        let address = "192.0.2.7".parse().unwrap();
        assert_eq!(SystemResolver.look_up("192.0.2.7").await, Answer::Addresses(vec![address]));
    }
}
