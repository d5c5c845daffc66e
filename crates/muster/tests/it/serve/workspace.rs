//! The built-in workspace of `muster serve`: by the settings of its file, and over a restart.

use serde_json::json;

use super::fixture::{Hub, Production, Site};
use crate::harness::logs::Logs;
use crate::harness::run;

const TOKEN: &str = "a-token-of-at-least-thirty-two-characters";
const CALLERS: &str = "AzureDiagnostics | where Category == 'ServiceOperations' and OperationName == 'Get' \
                       | project ResultType, ResultSignature, CallerIPAddress, TenantId";

/// Asks for an enrollment that is not there.
async fn asked(server: &Production) {
    let token = server.endpoint.service_token();
    let mut http = server.endpoint.http().await.unwrap();
    let path = "/enrollments/nobody?api-version=2021-10-01";
    let answer = http.ask("GET", path, &[("Authorization", &token)], None).await.unwrap();
    assert_eq!(answer.status, 404);
}

#[test]
fn workspace_follows_the_file_and_is_the_same_after_a_restart() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        site.settings(&format!(
            "[management]\nbearer_token = {{ value = \"{TOKEN}\" }}\n\
             [workspace]\nfolder = \"rows\"\naddresses = \"full\"\nkeep_for = \"2d\"\nkeep_size = \"1GiB\""
        ));
        // There is one workspace, and it is found by its name too.
        let logs = Logs::at("muster", TOKEN);
        let server = site.start().await;
        asked(&server).await;
        let mut http = server.endpoint.http().await.unwrap();
        let first = logs.rows_soon(&mut http, CALLERS).await.unwrap();
        assert_eq!(
            first[0].as_array().unwrap()[..3],
            [json!("ClientError"), json!("404"), json!("127.0.0.1")]
        );
        assert!(site.folder.join("rows/segments").is_dir(), "rows are where the file says");
        server.stop();

        let server = site.start().await;
        let mut http = server.endpoint.http().await.unwrap();
        assert_eq!(logs.rows(&mut http, CALLERS).await.unwrap(), first, "the same row of the same workspace");
        server.stop();
        hub.server.stop();
    });
}
