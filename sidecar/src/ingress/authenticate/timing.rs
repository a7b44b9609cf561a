//! Whether the time that a comparison takes tells how near a guess comes: measured, as dudect does it. Two classes of guesses
//! take turns at random; what took longest is cut off, as it tells about the machine; and Welch's t says whether the two classes
//! differ by more than chance.
//!
//! A busy machine spoils one round or the other, in either direction. So the median of several rounds decides, for ours as for the
//! control, a comparison that ends at the first difference: the same verdict has to clear the one and to catch the other.

use std::{hint::black_box, sync::Arc};

use http::Uri;
use telegram_webhook_sidecar_config::{Hmac, Slot, WebhookConfig};
use tokio::time::Instant;

use super::*;
use crate::{
    config::{HmacEncoding, Policy, Signature},
    ingress::route::{self, Route},
    test_util::{policy, raw_config, slot},
};

/// Odd, so that one of them is the median.
const ROUNDS: usize = 9;
const SAMPLES: usize = 2000;
/// How many of a round's samples count: the fastest.
const KEPT: usize = SAMPLES / 10 * 8;
/// What dudect calls a leak beyond doubt.
const THRESHOLD: f64 = 10.0;
/// The longest token.
const LENGTH: usize = 256;

/// Turns without a pattern, the same ones in every run: xorshift64*.
struct Turns(u64);

/// Mean of samples, and how uncertain it is.
struct Moments {
    mean: f64,
    variance_of_mean: f64,
}

// === impl Turns ===

impl Turns {
    fn next(&mut self) -> bool {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 63 == 1
    }
}

// === impl Moments ===

impl Moments {
    fn of(samples: impl Iterator<Item = f64> + Clone) -> Self {
        let count: f64 = samples.clone().map(|_| 1.0).sum();
        let mean = samples.clone().sum::<f64>() / count;
        let variance = samples.map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { mean, variance_of_mean: variance / count }
    }
}

/// Welch's t.
fn difference(a: &Moments, b: &Moments) -> f64 {
    // where every sample is the same, nothing differs or everything does
    let spread = (a.variance_of_mean + b.variance_of_mean).sqrt().max(f64::EPSILON);
    ((a.mean - b.mean) / spread).abs()
}

/// Measures one round.
fn measure<I>(classes: &[I; 2], turns: &mut Turns, compare: impl Fn(&I)) -> f64 {
    let mut samples: Vec<(u32, bool)> = (0..SAMPLES)
        .map(|_| {
            let second = turns.next();
            let [a, b] = classes;
            let guess = black_box(if second { b } else { a });
            let started = Instant::now();
            compare(guess);
            let took = started.elapsed().subsec_nanos();
            (took, second)
        })
        .collect();
    samples.sort_unstable();
    samples.truncate(KEPT);
    let of = |wanted: bool| {
        let class = samples.iter().filter(|(_, second)| *second == wanted);
        Moments::of(class.map(|(nanoseconds, _)| f64::from(*nanoseconds)))
    };
    difference(&of(false), &of(true))
}

/// Whether two classes of guesses take another time: `Err` if they do, with what was measured either way.
fn alike<I>(classes: &[I; 2], compare: impl Fn(&I)) -> Result<String, String> {
    let mut turns = Turns(0x9E37_79B9_7F4A_7C15);
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| measure(classes, &mut turns, &compare)).collect();
    rounds.sort_unstable_by(f64::total_cmp);
    let measured = format!("{rounds:.1?}");
    if rounds[ROUNDS / 2] < THRESHOLD { Ok(measured) } else { Err(measured) }
}

fn assert_alike<I>(what: &str, classes: &[I; 2], compare: impl Fn(&I)) {
    match alike(classes, compare) {
        Ok(measured) => println!("{what}: {measured}"),
        Err(measured) => panic!("{what} takes another time: {measured}"),
    }
}

/// What it must not be: ends where the first difference is.
fn naive(secret: &[u8], guess: &[u8]) -> bool {
    secret.len() == guess.len() && secret.iter().zip(guess).all(|(a, b)| black_box(a == b))
}

/// The letters of a token, but for some of them.
fn guess(wrong: impl Fn(usize) -> bool) -> String {
    (0..LENGTH).map(|index| if wrong(index) { 'x' } else { 't' }).collect()
}

/// The policy of a webhook with these slots.
fn with_slots(slots: Vec<Slot>) -> Arc<Policy> {
    policy(&[WebhookConfig { slots, ..raw_config("a") }]).load_full()
}

fn route(policy: &Policy) -> Route<'_> {
    route::find(policy, &Uri::from_static("/p")).unwrap()
}

fn with(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
}

#[test]
fn a_comparison_that_ends_at_the_first_difference_is_caught() {
    let secret = guess(|_| false);
    let classes = [guess(|index| index == 0), guess(|index| index == LENGTH - 1)];
    let verdict = alike(&classes, |guess| {
        black_box(naive(secret.as_bytes(), guess.as_bytes()));
    });
    println!("control: {verdict:?}");
    assert!(verdict.is_err(), "not caught: {verdict:?}");
}

#[test]
fn how_much_of_a_token_is_right_takes_no_other_time() {
    let slots = vec![slot(1, "/p", &guess(|_| false)), slot(2, "/q", &guess(|index| index % 2 == 0))];
    let policy = with_slots(slots);
    let route = route(&policy);
    let first_wrong = guess(|index| index == 0);
    for (what, other) in [
        ("a token whose last character alone is wrong", guess(|index| index == LENGTH - 1)),
        ("a token whose first half is right", guess(|index| index >= LENGTH / 2)),
        ("a token without a right character", guess(|_| true)),
        ("the right token", guess(|_| false)),
        ("the token of the other slot", guess(|index| index % 2 == 0)),
    ] {
        let classes = [with(TOKEN_HEADER, &first_wrong), with(TOKEN_HEADER, &other)];
        assert_alike(what, &classes, |headers| {
            black_box(token(&route, headers).is_ok());
        });
    }
}

#[test]
fn how_long_the_token_is_takes_no_other_time() {
    let policies = [16, LENGTH].map(|length| with_slots(vec![slot(1, "/p", &"t".repeat(length))]));
    let classes = policies.each_ref().map(|policy| route(policy));
    for length in [16, 64, LENGTH] {
        let headers = with(TOKEN_HEADER, &"x".repeat(length));
        assert_alike("a token of another length", &classes, |route| {
            black_box(token(route, &headers).is_ok());
        });
    }
}

#[test]
fn which_slot_a_token_is_of_takes_no_other_time() {
    let policy = with_slots(vec![slot(1, "/p", "t"), slot(2, "/p", "u")]);
    let route = route(&policy);
    let classes = ["t", "u"].map(|guess| with(TOKEN_HEADER, guess));
    assert_alike("the second slot's token", &classes, |headers| {
        black_box(token(&route, headers).is_ok());
    });
}

#[test]
fn how_much_of_a_signature_is_right_takes_no_other_time() {
    let hmac = Hmac::Body {
        header: "x-signature".to_owned(),
        encoding: HmacEncoding::Hex,
        secret: "a secret of a relay".to_owned(),
    };
    let signature = Signature::new(&hmac).unwrap();
    let Signature::Body { key, .. } = &signature else { panic!("another scheme") };
    let right = key.sign(&[b"body"]);
    let guess = |wrong: usize| {
        let mut mac = right;
        mac[wrong] ^= 1;
        with("x-signature", &hex::encode(mac))
    };
    let verify = |headers: &HeaderMap| {
        black_box(verify_signature(&signature, headers, b"body", std::time::UNIX_EPOCH).is_ok());
    };
    assert_alike("a signature whose last byte alone is wrong", &[guess(0), guess(31)], verify);
    assert_alike("the right signature", &[guess(0), with("x-signature", &hex::encode(right))], verify);
}

#[test]
fn which_of_several_signatures_is_right_takes_no_other_time() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let signature = Signature::new(&Hmac::StandardWebhooks { secret, tolerance_seconds: 300 }).unwrap();
    let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let classes =
        [format!("{right} {wrong} {wrong}"), format!("{wrong} {wrong} {right}")].map(|signatures| {
            let mut headers = with("webhook-signature", &signatures);
            headers.insert("webhook-id", HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"));
            headers.insert("webhook-timestamp", HeaderValue::from_static("1614265330"));
            headers
        });
    assert_alike("the last of several signatures", &classes, |headers| {
        let body = b"{\"test\": 2432232314}";
        black_box(verify_signature(&signature, headers, body, std::time::UNIX_EPOCH).is_ok());
    });
}
