//! Requests as Telegram sends them.

use crate::client::Target;

/// A request with an update in the private chat of one of 997 people.
pub fn request(target: &Target, id: u64, forwarded_for: &str) -> Vec<u8> {
    request_with(target, &body(id, 1_000_000_000 + id % 997), forwarded_for)
}

/// A request with this body, and with these lines in its head beyond the usual ones.
pub fn request_with(target: &Target, body: &str, lines: &str) -> Vec<u8> {
    let mut request = head(target, &format!("Content-Length: {}\r\n{lines}", body.len()));
    request.push_str(body);
    request.into_bytes()
}

/// An update of about 900 bytes: a message in a private chat. The same one for the same numbers.
pub fn body(id: u64, chat: u64) -> String {
    let person = format!(
        r#""id":{chat},"first_name":"Aleksandra","last_name":"Kowalska-Nowak","username":"aleksandra_kowalska""#
    );
    let text = "Good morning, my order from Tuesday still has not arrived. ".repeat(9);
    format!(
        r#"{{"update_id":{id},"message":{{"message_id":1234567,"from":{{{person},"is_bot":false,"language_code":"pl"}},"chat":{{{person},"type":"private"}},"date":1767225600,"text":"{text}"}}}}"#
    )
}

/// An update of about 900 bytes: a button under a message was pressed.
pub fn pressed(id: u64, user: u64) -> String {
    let person = format!(
        r#""id":{user},"first_name":"Aleksandra","last_name":"Kowalska-Nowak","username":"aleksandra_kowalska""#
    );
    let text = "Has your order from Tuesday arrived in the meantime? ".repeat(8);
    format!(
        r#"{{"update_id":{id},"callback_query":{{"id":"{id}","from":{{{person},"is_bot":false,"language_code":"pl"}},"message":{{"message_id":1234567,"chat":{{{person},"type":"private"}},"date":1767225600,"text":"{text}"}},"chat_instance":"-4611686018427387904","data":"arrived"}}}}"#
    )
}

/// A head with these lines beyond the usual ones.
pub fn head(target: &Target, lines: &str) -> String {
    let Target { host, path, token, .. } = target;
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nX-Telegram-Bot-Api-Secret-Token: {token}\r\n\
         Content-Type: application/json\r\nConnection: keep-alive\r\nAccept-Encoding: gzip, deflate\r\n{lines}\r\n"
    )
}
