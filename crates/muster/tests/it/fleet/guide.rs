//! `docs/guides/fleet.md` as it stands: every command of it is run against a real server and says what the page shows.

use super::{Said, Site, words};
use crate::harness::run;
use crate::harness::tls::DeviceCa;

const GUIDE: &str = include_str!("../../../../../docs/guides/fleet.md");

/// The commands of a page, with what it shows behind each.
pub fn commands(page: &str) -> Vec<(String, String)> {
    let mut commands = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap().replace("\\\n", " ");
        for part in format!("\n{block}").split("\n$ ").skip(1) {
            let (line, said) = part.split_once('\n').unwrap_or((part, ""));
            commands.push((line.to_owned(), said.to_owned()));
        }
    }
    commands
}

/// Without what is another in every run: keys, etags, times, tracking ids, ports; and the widths that follow from them.
pub fn anonymous(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| "\",().:".contains(c));
        let base64 = bare.len() >= 40 && bare.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
        let time = (20..=28).contains(&bare.len()) && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
        let tracking = bare.len() == 36 && bare.matches('-').count() == 4;
        let digits = |c: char| c.is_ascii_hexdigit() || c == '-';
        let part = bare.len() >= 5 && bare.chars().all(digits) && bare.contains(|c: char| c.is_ascii_digit());
        let name = match () {
            () if base64 => "BASE64",
            () if time => "TIME",
            () if tracking => "TRACKING",
            () if part => "PART",
            () => bare,
        };
        word.replace(bare, name)
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect()
}

/// Runs one, its output in a file where the line says so.
pub fn say(site: &Site, line: &str) -> String {
    let arguments = line.strip_prefix("muster ").expect("a command of ours");
    let (arguments, file) = match arguments.split_once(" > ") {
        Some((arguments, file)) => (arguments, Some(file)),
        None => (arguments, None),
    };
    let Said { out, err, .. } = super::muster(site.path(), &words(arguments), &[]);
    match file {
        Some(file) => {
            site.write(file.trim(), &out);
            err
        }
        None => err + &out,
    }
}

#[test]
fn guide_of_the_fleet_says_what_its_commands_say() {
    run(async {
        let site = Site::start().await;
        let ca = DeviceCa::new();
        site.write("old.pem", &ca.issue("camera-7").pem());
        site.write("new.pem", &ca.issue("camera-7").pem());
        site.write("plant-ca.pem", &ca.pem);
        site.write(
            "hub-2.txt",
            "HostName=hub-2.example;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0LWtleS1vZi1odWI=\n",
        );
        let line = |id: &str| {
            format!("{{\"registrationId\":\"{id}\",\"attestation\":{{\"type\":\"symmetricKey\"}}}}\n")
        };
        site.write("devices.jsonl", &["meter-1", "thermostat-1", "meter-2"].map(line).concat());
        let commands = commands(GUIDE);
        assert!(commands.len() >= 28, "{} commands", commands.len());
        for (line, shown) in commands {
            if line.contains("certificate verify") {
                let code = std::fs::read_to_string(site.path().join("code.txt")).unwrap();
                site.write("proof.pem", &ca.issue(code.trim()).pem());
            }
            let said = say(&site, &line);
            if shown.is_empty() {
                // What is not shown is at least no refusal.
                assert!(!said.contains("muster: "), "{line}: {said}");
                continue;
            }
            assert_eq!(anonymous(&said), anonymous(&shown), "{line}");
        }
        site.server.stop();
    });
}
