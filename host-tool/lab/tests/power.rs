//! Power switches: commands that really run, and relays that are small HTTP servers which say what they got.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use stoop_lab::Explained;
use stoop_lab::power::{Error, Supply, open};
use stoop_samples::machine::Port;

const LONG: Duration = Duration::from_secs(20);

fn power(text: &str) -> Box<dyn stoop_lab::power::Power> {
    open(&text.parse::<Supply>().expect(text)).expect("a switch")
}

/// Answers one request after the other with these bodies; gives the first line of each request, its login and its body.
fn relay(answers: &'static [&'static str]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = Vec::new();
            let text = loop {
                let mut buffer = [0; 1024];
                let count = stream.read(&mut buffer).expect("a request");
                request.extend(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
                if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() == length) {
                    break text;
                }
            };
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            let login = head.lines().find(|line| line.starts_with("Authorization")).unwrap_or_default();
            let said = format!("{} {login} {body}", head.lines().next().unwrap_or_default());
            sender.send(said.trim().to_owned()).expect("told");
            stream.write_all(answer.as_bytes()).expect("answered");
        }
    });
    (address, requests)
}

fn next(requests: &Receiver<String>) -> String {
    requests.recv_timeout(LONG).expect("a request")
}

#[test]
fn a_command_gets_the_word_for_what_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let mut power = power(&format!("cmd:echo relay={{0|1}} >> {}", file.display()));
    power.cycle(Duration::ZERO).expect("switched");
    assert_eq!(std::fs::read_to_string(&file).expect("a log"), "relay=0\nrelay=1\n");
}

#[test]
fn a_command_that_fails_shows_its_words_and_status() {
    let error = power("cmd:echo no such relay >&2; exit 3 #").set(true).expect_err("it failed");
    assert!(matches!(error, Error::Command { .. }));
    let text = error.to_string();
    assert!(text.ends_with("(exit status: 3): no such relay"), "{text}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn tasmota_is_told_by_its_command_and_believed_by_its_answer() {
    let (address, requests) =
        relay(&["HTTP/1.1 200 OK\r\n\r\n{\"POWER\":\"ON\"}", "HTTP/1.1 200 OK\r\n\r\n{\"POWER2\":\"OFF\"}"]);
    power(&format!("http:tasmota:{address}")).set(true).expect("switched");
    assert_eq!(next(&requests), "GET /cm?cmnd=Power1%20on HTTP/1.0");
    power(&format!("http:tasmota:admin:p&w@{address}/2")).set(false).expect("switched");
    assert_eq!(next(&requests), "GET /cm?user=admin&password=p%26w&cmnd=Power2%20off HTTP/1.0");
}

#[test]
fn tasmotas_warning_about_a_password_is_no_success() {
    let (address, _requests) =
        relay(&["HTTP/1.1 200 OK\r\n\r\n{\"WARNING\":\"Need user=<username>&password=<password>\"}"]);
    let error = power(&format!("http:tasmota:{address}")).set(true).expect_err("refused");
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

#[test]
fn shelly_is_told_and_asked() {
    let (address, requests) =
        relay(&["HTTP/1.1 200 OK\r\n\r\n{\"ison\":true}", "HTTP/1.1 200 OK\r\n\r\n{\"ison\":true}"]);
    power(&format!("http:shelly:u:p@{address}")).set(true).expect("switched");
    assert_eq!(next(&requests), "GET /relay/0?turn=on HTTP/1.0 Authorization: Basic dTpw");
    assert_eq!(next(&requests), "GET /relay/0 HTTP/1.0 Authorization: Basic dTpw");
}

#[test]
fn rest_is_labgrids() {
    let (address, requests) = relay(&["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n1\n"]);
    power(&format!("http:rest:{address}/relay/1/value")).set(true).expect("switched");
    assert_eq!(next(&requests), "PUT /relay/1/value HTTP/1.0  1");
    assert_eq!(next(&requests), "GET /relay/1/value HTTP/1.0");
}

/// As servers do that keep a connection for the next request.
#[test]
fn an_answer_that_says_its_length_needs_no_end_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let kept = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").expect("answered");
        // To the end of the client's.
        stream.read_to_end(&mut Vec::new()).map(|_| ())
    });
    assert_eq!(power(&format!("http:rest:{address}/r")).is_on().expect("it says so"), Some(true));
    kept.join().expect("no panic").expect("closed by the client");
}

#[test]
fn pdudaemon_gets_the_strips_name_and_outlet() {
    let (address, requests) = relay(&["HTTP/1.1 200 OK\r\n\r\nOK - accepted request"]);
    power(&format!("pdudaemon:{address}/rack 1/07")).set(false).expect("switched");
    assert_eq!(next(&requests), "GET /power/control/off?hostname=rack%201&port=07 HTTP/1.0");
}

#[test]
fn a_relay_that_does_not_switch_is_found_out() {
    let (address, _requests) = relay(&["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n0"]);
    let error = power(&format!("http:rest:{address}/r")).set(true).expect_err("it lies");
    assert!(matches!(error, Error::Disobeyed { wanted: true, .. }), "{error}");
    assert_eq!(error.to_string(), format!("the relay at {address} was told to switch on and says that it is off"));
    assert_eq!((error.code(), error.exit_code()), ("L034", 75));
}

#[test]
fn a_relay_that_refuses_or_is_away_ends_with_75_and_never_shows_the_password() {
    let (address, _requests) = relay(&["HTTP/1.1 401 Unauthorized\r\n\r\nGo away\x1b[2J"]);
    let error = power(&format!("http:rest:me:secret@{address}/r")).set(true).expect_err("refused");
    let text = error.to_string();
    assert_eq!(text, format!("the power switch at {address} refuses: HTTP/1.1 401 Unauthorized Go away\\u{{1b}}[2J"));
    assert_eq!((error.code(), error.exit_code()), ("L033", 75));
    let away = Port::new().expect("a port");
    let error = power(&format!("http:rest:me:secret@{}/r", away.address())).set(true).expect_err("nobody is there");
    assert!(matches!(error, Error::Unreachable { .. }));
    assert_eq!((error.code(), error.exit_code()), ("L032", 75));
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn a_gpio_chip_that_is_not_there_is_named() {
    let supply = "gpio:/dev/gpiochip-nowhere:3".parse::<Supply>().expect("a supply");
    let error = open(&supply).err().expect("it is not there");
    assert!(matches!(error, Error::Gpio { line: 3, .. }), "{error}");
    assert!(error.to_string().starts_with("GPIO line 3 of /dev/gpiochip-nowhere: "), "{error}");
}
