//! `muster logs query` against a query API.

use serde_json::{Value, json};

use super::fake::{LogAnalytics, table};
use crate::fleet::{Said, muster, words};
use crate::harness::run;

struct Site {
    logs: LogAnalytics,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        Self { logs: LogAnalytics::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn muster(&self, line: &str) -> Said {
        muster(self.folder.path(), &words(line), &self.logs.variables())
    }

    fn last(&self) -> super::fake::Asked {
        self.logs.asked().pop().unwrap()
    }
}

fn rows() -> Value {
    table(
        &[("TimeGenerated", "datetime"), ("Name", "string"), ("count_", "long"), ("p", "dynamic")],
        &[
            json!(["2026-11-29T03:00:01Z", "a,b", 3, "{\"id\":1}"]),
            json!(["2026-11-29T03:00:02Z", "", null, null]),
        ],
    )
}

#[test]
fn query_is_asked_as_azure_documents_it_and_its_rows_are_printed_in_each_form() {
    run(async {
        let site = Site::start().await;
        site.logs.instead(Some((200, rows())));
        let said = site.muster("logs query --timespan 12h --wait 60 'AzureDiagnostics | take 2'").json();
        assert_eq!(
            said,
            json!([
                {"TimeGenerated": "2026-11-29T03:00:01Z", "Name": "a,b", "count_": 3, "p": "{\"id\":1}"},
                {"TimeGenerated": "2026-11-29T03:00:02Z", "Name": "", "count_": null, "p": null},
            ])
        );
        let asked = site.last();
        assert_eq!(asked.path, "/v1/workspaces/w/query");
        assert_eq!(asked.prefer, "wait=60,include-statistics=true");
        assert_eq!(asked.body, json!({"query": "AzureDiagnostics | take 2", "timespan": "PT12H"}));

        let csv = site.muster("logs query -o csv T").text();
        assert_eq!(
            csv,
            "TimeGenerated,Name,count_,p\r\n2026-11-29T03:00:01Z,\"a,b\",3,\"{\"\"id\"\":1}\"\r\n\
             2026-11-29T03:00:02Z,,,\r\n"
        );
        let table = site.muster("logs query -o table T").text();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("TimeGenerated") && lines.len() == 3, "{table}");
        assert_eq!(site.muster("logs query -o jsonl T").text().lines().count(), 2);
    });
}

#[test]
fn query_is_read_from_a_file_and_asked_of_a_resource() {
    run(async {
        let site = Site::start().await;
        std::fs::write(site.folder.path().join("q.kql"), "T // ü\n| count\n").unwrap();
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/n";
        for line in ["--file q.kql", "@q.kql"] {
            site.muster(&format!("logs query {line} --resource-id {id}")).json();
            let asked = site.last();
            assert_eq!(asked.path, format!("/v1{id}/query"), "{line}");
            assert_eq!(asked.body, json!({"query": "T // ü\n| count\n"}), "{line}");
        }
        site.muster("logs query").failed(2);
        site.muster("logs query T --file q.kql").failed(2);
        site.muster("logs query T --timespan soon").failed(2);
        site.muster("logs query T --wait 601").failed(2);
        site.muster("logs query --file nowhere.kql").failed(1);
    });
}

#[test]
fn wrong_query_is_shown_with_a_caret_under_its_mistake() {
    run(async {
        let site = Site::start().await;
        let place = json!({"code": "KS142", "message": "The name 'Foo' is unknown.", "line": 1, "pos": 10, "token": "Foo"});
        let inner =
            json!({"code": "SemanticError", "message": "A semantic error occurred.", "innererror": place});
        let body = json!({"error": {"code": "BadArgumentError", "message": "m", "innererror": inner}});
        site.logs.instead(Some((400, body)));
        let said = site.muster("logs query 'T | where Foo == 1'").failed(2);
        assert_eq!(
            said,
            "muster: the query is wrong: KS142 The name 'Foo' is unknown.\n --> 1:11\n  |\n1 | T | where Foo == 1\n  |           ^^^\n"
        );
        assert_eq!(site.logs.asked().len(), 1, "what is wrong is not asked again");
    });
}

#[test]
fn result_that_is_not_whole_is_printed_and_said() {
    run(async {
        let site = Site::start().await;
        let mut body = rows();
        body["error"] = json!({"code": "PartialError", "message": "There were some errors.", "details": [
            {"code": "EngineError", "message": "m", "innererror": {"code": "x", "message": "It was cut."}}
        ]});
        site.logs.instead(Some((200, body)));
        let said = site.muster("logs query T");
        assert_eq!(said.status, Some(1));
        assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap().as_array().map(Vec::len), Some(2));
        assert_eq!(said.err, "muster: these are not all rows: It was cut.\n");
    });
}

#[test]
fn refusals_and_strangers_have_the_fleets_exit_statuses() {
    run(async {
        let site = Site::start().await;
        let refused = |code: &str| json!({"error": {"code": code, "message": "No."}});
        for (status, code, exit) in [
            (403, "InsufficientAccessError", 5),
            (404, "ResourceNotFoundError", 3),
            (400, "BadArgumentError", 1),
            (504, "GatewayTimeout", 6),
        ] {
            site.logs.instead(Some((status, refused(code))));
            let before = site.logs.asked().len();
            let said = site.muster("logs query T").failed(exit);
            assert!(said.contains(code), "{said}");
            assert_eq!(site.logs.asked().len(), before + 1, "{status} is the last word");
        }
        site.logs.instead(Some((200, json!({"hello": 1}))));
        assert!(site.muster("logs query T").failed(6).contains("is it a query API?"));
        site.logs.instead(None);
        site.muster("logs query T --token other").failed(5);
        let nobody = muster(site.folder.path(), &words("logs query T"), &[]).failed(2);
        assert!(nobody.contains("--token"), "{nobody}");
        let nowhere = muster(site.folder.path(), &words("logs query T --token t"), &[]).failed(2);
        assert!(nowhere.contains("--workspace"), "{nowhere}");
        let clear = site.muster("logs query T --logs-url http://logs.example").failed(2);
        assert!(clear.contains("https"), "{clear}");
    });
}
