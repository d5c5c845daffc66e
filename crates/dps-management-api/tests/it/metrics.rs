//! Metrics over ARM: definitions, namespaces, values, batches, and what is refused.

use dps_events::{AttemptRecord, Event, Operation, Outcome};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};
use dps_monitor::metrics::{Metric, Sample};
use serde_json::{Value, json};

use crate::bed::{Ask, Bed, DEFAULT, NOW, Reply, ask, least, service};

const VERSION: &str = "api-version=2024-02-01";

fn attempt(service: &str, protocol: Protocol, good: bool, seconds_ago: i64) -> Event {
    let channel = Channel { protocol, peer: "192.0.2.1:1".parse().unwrap(), tls: TlsSession::default() };
    let time = Timestamp::from_millis((NOW - seconds_ago) * 1_000);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
    record.instance = Some(service.into());
    record.outcome =
        if good { Outcome::Success } else { Outcome::failed(&Error::new(ErrorCode::Unauthorized)) };
    Event::Attempt(Box::new(record))
}

/// Six attempts in the last hour: five of MQTT, one refused.
async fn counted() -> Bed {
    let bed = Bed::new().await;
    for (protocol, good, seconds_ago) in [
        (Protocol::Mqtt, true, 30),
        (Protocol::Mqtt, true, 31),
        (Protocol::Mqtt, false, 32),
        (Protocol::Mqtt, true, 600),
        (Protocol::Http, true, 30),
        (Protocol::Mqtt, true, 3_500),
    ] {
        bed.rollups.observe(&attempt("dps", protocol, good, seconds_ago));
    }
    bed
}

fn get(path: &str, query: &str) -> Ask {
    ask("GET", "").uri(&format!("{path}?{VERSION}&{query}"))
}

fn metrics(query: &str) -> Ask {
    get(&format!("{DEFAULT}/providers/Microsoft.Insights/metrics"), query)
}

async fn values(bed: &Bed, query: &str) -> Value {
    bed.call(metrics(query)).await.ok()
}

/// The totals of each series of the first metric, with what it is split by; a point without a value is left out.
fn totals(shown: &Value) -> Vec<(String, Vec<f64>)> {
    let series = shown["value"][0]["timeseries"].as_array().unwrap();
    let one = |series: &Value| {
        let names = series["metadatavalues"].as_array().unwrap().iter();
        let names = names.map(|it| format!("{}={}", it["name"]["value"], it["value"]).replace('"', ""));
        let points = series["data"].as_array().unwrap().iter();
        (names.collect::<Vec<_>>().join(" "), points.filter_map(|point| point["total"].as_f64()).collect())
    };
    series.iter().map(one).collect()
}

#[tokio::test]
async fn definitions_are_azures_three_and_ours_by_namespace() {
    let bed = Bed::new().await;
    let path = format!("{DEFAULT}/providers/microsoft.insights/metricDefinitions");
    let namespace = "metricnamespace=microsoft.devices/provisioningservices";
    let shown = bed.call(get(&path, namespace)).await.ok();
    let listed = shown["value"].as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|it| it["name"]["value"].as_str().unwrap()).collect();
    assert_eq!(names, ["AttestationAttempts", "DeviceAssignments", "RegistrationAttempts"]);
    let first = &listed[0];
    assert_eq!(first["resourceId"], DEFAULT);
    assert_eq!((&first["unit"], &first["primaryAggregationType"]), (&json!("Count"), &json!("Total")));
    assert_eq!(first["metricAvailabilities"][0], json!({"timeGrain": "PT1M", "retention": "P93D"}));
    let dimensions: Vec<_> =
        first["dimensions"].as_array().unwrap().iter().map(|it| it["value"].as_str().unwrap()).collect();
    assert_eq!(dimensions, ["ProvisioningServiceName", "Status", "Protocol"]);
    let all = bed.call(get(&path, "")).await.ok();
    assert!(all["value"].as_array().unwrap().len() > 10);
    let of_subscription = "/subscriptions/S-1/providers/Microsoft.Insights/metricDefinitions";
    let other = bed.call(get(of_subscription, "region=local")).await.ok();
    assert_eq!(other["value"].as_array().unwrap().len(), all["value"].as_array().unwrap().len());
    let refused = bed.call(get(&path, "metricnamespace=other")).await.refusal();
    assert_eq!((refused.0, refused.1.as_str()), (400, "BadRequest"));

    let path = format!("{DEFAULT}/providers/Microsoft.Insights/metricNamespaces");
    let shown = bed.call(get(&path, "")).await.ok();
    let names: Vec<_> = shown["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["classification"].clone(), it["properties"]["metricNamespaceName"].clone()))
        .collect();
    let expected = [
        (json!("Platform"), json!("Microsoft.Devices/provisioningServices")),
        (json!("Custom"), json!("Muster/provisioningServices")),
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn values_have_azures_shape_and_nothing_is_no_nought() {
    let bed = counted().await;
    let shown = values(&bed, "metricnames=AttestationAttempts&timespan=PT1H&interval=PT30M").await;
    let metric = &shown["value"][0];
    assert_eq!(metric["id"], format!("{DEFAULT}/providers/Microsoft.Insights/metrics/AttestationAttempts"));
    assert_eq!((&metric["type"], &metric["unit"]), (&json!("Microsoft.Insights/metrics"), &json!("Count")));
    assert_eq!(metric["errorCode"], "Success");
    assert_eq!(
        metric["timeseries"],
        json!([{"metadatavalues": [], "data": [
            {"timeStamp": "2026-11-30T23:00:00Z", "total": 1.0},
            {"timeStamp": "2026-11-30T23:30:00Z", "total": 5.0},
        ]}])
    );
    assert_eq!(shown["timespan"], "2026-11-30T23:00:00Z/2026-12-01T00:00:00Z");
    assert_eq!((&shown["interval"], &shown["resourceregion"]), (&json!("PT30M"), &json!("local")));
    assert_eq!(shown["namespace"], "microsoft.devices/provisioningservices");
    assert!(shown["cost"].is_number());
    let gap = values(&bed, "metricnames=AttestationAttempts&timespan=PT1H&interval=PT15M").await;
    assert_eq!(gap["value"][0]["timeseries"][0]["data"][1], json!({"timeStamp": "2026-11-30T23:15:00Z"}));
}

#[tokio::test]
async fn aggregations_are_those_that_are_asked_for() {
    let bed = counted().await;
    let query = "metricnames=AttestationAttempts&timespan=PT1H&interval=FULL&aggregation=Average,minimum,Maximum,Count,Total";
    let shown = values(&bed, query).await;
    let point = &shown["value"][0]["timeseries"][0]["data"][0];
    let expected = json!({
        "timeStamp": "2026-11-30T23:00:00Z",
        "average": 1.0, "minimum": 1.0, "maximum": 1.0, "count": 6.0, "total": 6.0,
    });
    assert_eq!((point, &shown["interval"]), (&expected, &json!("PT1H")));

    let sample = |value| Sample { metric: Metric::OpenConnections, service: None, values: vec![], value };
    bed.rollups.sample(&[sample(1.0), sample(5.0)], Timestamp::from_millis((NOW - 1) * 1_000));
    let own =
        "metricnamespace=Muster/provisioningServices&interval=FULL&metricnames=OpenConnections,EventsDropped";
    let shown = values(&bed, own).await;
    let point = &shown["value"][0]["timeseries"][0]["data"][0];
    assert_eq!(point["maximum"], 5.0, "a metric's own aggregation where none is asked for: {point}");
    let shown = values(&bed, &format!("{own}&aggregation=Total")).await;
    let (unfit, fit) = (&shown["value"][0], &shown["value"][1]);
    assert_eq!((&unfit["errorCode"], &unfit["timeseries"]), (&json!("InvalidSamplingType"), &json!([])));
    assert!(unfit["errorMessage"].as_str().unwrap().contains("OpenConnections"));
    assert_eq!(fit["errorCode"], "Success");
}

#[tokio::test]
async fn filter_splits_by_what_it_names_in_lower_case() {
    let bed = counted().await;
    let base = "metricnames=AttestationAttempts&timespan=PT1H&interval=FULL";
    let split = values(&bed, &format!("{base}&$filter=Protocol%20eq%20'*'&orderby=sum%20desc")).await;
    assert_eq!(totals(&split), [("protocol=Mqtt".into(), vec![5.0]), ("protocol=Http".into(), vec![1.0])]);
    let grafana = values(&bed, &format!("{base}&%24filter=Status+eq+%27*%27&orderby=total+asc&top=1")).await;
    assert_eq!(totals(&grafana), [("status=ClientError".into(), vec![1.0])]);
    let rolled = "$filter=Protocol eq 'Mqtt' or Protocol eq 'Http'&rollupby=protocol".replace(' ', "%20");
    assert_eq!(totals(&values(&bed, &format!("{base}&{rolled}")).await), [(String::new(), vec![6.0])]);
    let nothing = values(&bed, &format!("{base}&$filter=Protocol%20eq%20'Amqp'")).await;
    assert_eq!(nothing["value"][0]["timeseries"], json!([]));
    let lenient = format!("{base}&$filter=Color%20eq%20'*'&ValidateDimensions=false");
    assert_eq!(totals(&values(&bed, &lenient).await), [(String::new(), vec![6.0])]);
    let metadata = values(&bed, &format!("{base}&$filter=Protocol%20eq%20'*'&resultType=Metadata")).await;
    assert!(metadata.get("interval").is_none() && metadata.get("cost").is_none());
    let series = metadata["value"][0]["timeseries"].as_array().unwrap();
    assert!(series.len() == 2 && series.iter().all(|one| one.get("data").is_none()), "{metadata}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_sentence() {
    let bed = counted().await;
    for (query, part) in [
        ("metricnames=Nothing", "Valid metrics: AttestationAttempts,DeviceAssignments"),
        ("metricnames=OpenConnections", "Valid metrics"),
        ("metricnamespace=x", "metric namespace"),
        ("timespan=yesterday", "timespan"),
        ("timespan=2026-12-01T00:00:00Z/2026-12-01T00:00:00Z", "does not end after"),
        ("interval=PT2M", "PT1M,PT5M,PT15M,PT30M,PT1H,PT6H,PT12H,P1D,FULL"),
        ("aggregation=Median", "aggregation"),
        ("top=3", "top is only taken with a filter"),
        ("$filter=Status%20eq%20'*'&top=0", "top is no whole number"),
        ("$filter=Status%20eq%20'*'&orderby=size", "orderby"),
        ("$filter=Status%20eq%20'*'&orderby=sum%20asc%20now", "orderby"),
        ("$filter=Status", "expected 'eq'"),
        ("$filter=Color%20eq%20'*'", "does not have the dimension 'Color'"),
        ("resultType=Both", "resultType"),
        ("AutoAdjustTimegrain=maybe", "AutoAdjustTimegrain"),
        ("timespan=P90D", "more than 50000 points"),
    ] {
        let (status, code, message) = bed.call(metrics(query)).await.refusal();
        assert_eq!((status, code.as_str()), (400, "BadRequest"), "{query}");
        assert!(message.contains(part), "{query}: {message}");
    }
    let adjusted = values(&bed, "interval=PT2M&AutoAdjustTimegrain=true&timespan=P1D").await;
    assert_eq!(adjusted["interval"], "PT1M");
    let path = format!("{DEFAULT}/providers/Microsoft.Insights/metrics");
    for uri in [path.clone(), format!("{path}?api-version=2022-02-05")] {
        let (status, code, _) = bed.call(ask("GET", "").uri(&uri)).await.refusal();
        assert_eq!((status, code.as_str()), (400, "InvalidApiVersionParameter"));
    }
    let nobody = get(&format!("{}/providers/Microsoft.Insights/metrics", service("nobody")), "");
    assert_eq!(bed.call(nobody).await.status, 404);
}

async fn two_services() -> Bed {
    let bed = counted().await;
    let mut body = least();
    body["location"] = json!("local");
    bed.put("second", body).await;
    bed.rollups.observe(&attempt("second", Protocol::Amqp, true, 30));
    bed
}

#[tokio::test]
async fn subscription_folds_its_services_or_splits_them_by_id() {
    let bed = two_services().await;
    let path = "/subscriptions/s-1/providers/Microsoft.Insights/metrics";
    let base = "region=local&metricnames=AttestationAttempts&interval=FULL";
    assert_eq!(totals(&bed.call(get(path, base)).await.ok()), [(String::new(), vec![7.0])]);
    let body = json!({
        "metricNames": "AttestationAttempts", "interval": "FULL", "timespan": "PT1H", "top": 5,
        "filter": format!("Microsoft.ResourceId eq '{}' or Microsoft.ResourceId eq '{DEFAULT}'", service("second")),
        "orderBy": "sum asc",
    });
    let post =
        |query: &str, body: &Value| ask("POST", "").uri(&format!("{path}?{VERSION}&{query}")).json(body);
    let shown = bed.call(post("region=LOCAL", &body)).await.ok();
    let expected = [
        (format!("microsoft.resourceid={}", service("second")), vec![1.0]),
        (format!("microsoft.resourceid={DEFAULT}"), vec![6.0]),
    ];
    assert_eq!(totals(&shown), expected);
    let empty = bed.call(get(path, &base.replace("local", "westus"))).await.ok();
    assert_eq!(totals(&empty), [(String::new(), vec![])]);
    for (query, body, part) in [
        ("region=local&interval=PT1H", body.clone(), "interval stands in the query and in the body"),
        ("", body.clone(), "region"),
        ("region=local", json!({"top": [1]}), "top must be a text"),
        ("region=local", json!([]), "no JSON object"),
    ] {
        let (status, _, message) = bed.call(post(query, &body)).await.refusal();
        assert!(status == 400 && message.contains(part), "{message}");
    }
}

async fn batch(bed: &Bed, query: &str, body: &Value) -> Reply {
    let uri = format!("/subscriptions/S-1/metrics:getBatch?{VERSION}&{query}");
    bed.call(ask("POST", "").uri(&uri).json(body)).await
}

#[tokio::test]
async fn batch_answers_each_resource_and_checks_what_it_is_asked() {
    let bed = two_services().await;
    let both = json!({"resourceids": [DEFAULT, service("second")]});
    let query = "metricnamespace=Microsoft.Devices/provisioningServices&metricnames=AttestationAttempts&\
                 starttime=2026-11-30T23:00:00.000000Z&interval=FULL&aggregation=total";
    let shown = batch(&bed, query, &both).await.ok();
    let of = |place: usize| {
        let one = &shown["values"][place];
        (one["resourceid"].clone(), totals(one), one["starttime"].clone(), one["endtime"].clone())
    };
    let (start, end) = (json!("2026-11-30T23:00:00Z"), json!("2026-12-01T00:00:00Z"));
    let first = (json!(DEFAULT), vec![(String::new(), vec![6.0])], start.clone(), end.clone());
    assert_eq!(of(0), first);
    assert_eq!(of(1), (json!(service("second")), vec![(String::new(), vec![1.0])], start, end));
    let first = format!("{query}&filter=Protocol%20eq%20'*'&top=1&orderby=sum%20desc");
    let filtered = batch(&bed, &first, &both).await.ok();
    assert_eq!(totals(&filtered["values"][0]), [("protocol=Mqtt".into(), vec![5.0])]);

    let many = json!({"resourceids": vec![DEFAULT; 51]});
    let foreign = json!({"resourceids": [DEFAULT.replace("S-1", "s-2")]});
    let missing = json!({"resourceids": [service("nobody")]});
    for (query, body, status, part) in [
        (query, json!({}), 400, "resourceids is required"),
        (query, json!({"resourceids": [7]}), 400, "must hold texts"),
        (query, many, 400, "at most 50"),
        (query, foreign, 400, "of this subscription"),
        (query, missing, 404, "not found"),
        ("metricnames=AttestationAttempts", both.clone(), 400, "metricnamespace"),
        (&query.replace("2026-11-30T23", "tomorrow"), both.clone(), 400, "starttime"),
        (&query.replace("2026-11", "2027-11"), both, 400, "timespan"),
    ] {
        let (given, _, message) = batch(&bed, query, &body).await.refusal();
        assert!(given == status && message.contains(part), "{query} {given} {message}");
    }
}

#[tokio::test]
async fn figures_outlive_a_deleted_service_only_under_its_own_name() {
    let bed = two_services().await;
    let reply = bed.call(ask("DELETE", &service("second"))).await;
    bed.followed(&reply).await;
    let path = format!("{}/providers/Microsoft.Insights/metrics", service("second"));
    assert_eq!(bed.call(get(&path, "")).await.status, 404);
}
