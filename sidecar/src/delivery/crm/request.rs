//! A request of our own: nothing of Telegram's head passes on, the token least of all.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::Full;

use super::{
    super::sign::{delivery_id, sign},
    connection::Post,
};
use crate::{config::Webhook, ingress::TOKEN_HEADER};

/// Counts the attempts to hand over an update from 1 on, as far as is known.
pub(super) const ATTEMPT: HeaderName = HeaderName::from_static("telegram-webhook-attempt");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FIRST: HeaderValue = HeaderValue::from_static("1");
/// Those of below, and the length.
const HEADERS: usize = 8;

/// What is handed over.
pub(super) struct Parcel {
    pub(super) update_id: Option<i64>,
    pub(super) attempt: u32,
    pub(super) body: Bytes,
}

pub(super) fn post(webhook: &Webhook, parcel: Parcel, at: SystemTime) -> Post {
    let Webhook { bot_id, upstream, delivery, .. } = webhook;
    let Parcel { update_id, attempt, body } = parcel;
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::HOST, upstream.host.clone());
    headers.insert(header::CONTENT_TYPE, JSON);
    let id = delivery_id(*bot_id, update_id, &body);
    sign(id, at, &body, &delivery.signing_keys).insert_into(&mut headers);
    headers.insert(ATTEMPT, if attempt <= 1 { FIRST } else { attempt.into() });
    if let Some(token) = &delivery.secret_token {
        headers.insert(TOKEN_HEADER, token.clone());
    }
    let mut request = Post::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = upstream.target.clone();
    *request.headers_mut() = headers;
    request
}
