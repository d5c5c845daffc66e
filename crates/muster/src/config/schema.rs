//! Every table and key of `muster.toml`: names, values, defaults, meanings. The page
//! `docs/reference/configuration.md` is made of it. Must not know how a setting is carried out.

#![allow(clippy::cast_possible_wrap, clippy::cast_lossless)] // bounds are small, and `From` is not const

use dps_model::limits;

use super::shape::Key;
use super::shape::Kind::{
    Address, Integer, OneOf, Path, Rate, Secret, Size, Switch, Table, Tables, Text, Texts, Time,
};
use super::shape::Need::{Default, Optional, Required};
use super::shape::{Kind, Need, Shape};

const fn key(name: &'static str, kind: Kind, need: Need, help: &'static str) -> Key {
    Key { name, kind, need, help }
}

const DAY: u64 = 86_400;
const PORT: Kind = Integer(0, 65_535);

/// The file.
pub static ROOT: Shape = Shape {
    header: "",
    about: "",
    keys: &[
        key("server", Table(&SERVER), Optional, ""),
        key("listeners", Table(&LISTENERS), Optional, ""),
        key("certificate", Tables(&CERTIFICATE), Required, ""),
        key("instance", Tables(&INSTANCE), Required, ""),
        key("hubs", Table(&HUBS), Optional, ""),
        key("regions", Table(&REGIONS), Optional, ""),
        key("limits", Table(&LIMITS), Optional, ""),
        key("management", Table(&MANAGEMENT), Optional, ""),
        key("identity_provider", Tables(&IDENTITY_PROVIDER), Optional, ""),
        key("log", Table(&LOG), Optional, ""),
        key("attempts", Table(&ATTEMPTS), Optional, ""),
        key("workspace", Table(&WORKSPACE), Optional, ""),
        key("destination", Tables(&DESTINATION), Optional, ""),
        key("telemetry", Table(&TELEMETRY), Optional, ""),
    ],
};

static SERVER: Shape = Shape {
    header: "[server]",
    about: "The process: what it keeps, and how it ends. A drain has two parts: after SIGTERM `/health/ready` answers \
            503 at once and new connections are still served for `drain_grace`, so that load balancers notice; then \
            the listeners close, and requests and operations in progress have `drain` to end. What has not ended then \
            is on disk and is taken up by the next start.",
    keys: &[
        key(
            "data_dir",
            Path,
            Required,
            "store, keys and logs; created when missing; one process at a time. Everything in it is private to the \
             user",
        ),
        key("drain", Time(0, 3_600), Default("\"20s\""), "time for requests and operations in progress"),
        key("drain_grace", Time(0, 600), Default("\"0s\""), "time until the listeners close"),
    ],
};

static LISTENERS: Shape = Shape {
    header: "[listeners]",
    about: "Where it listens. Port 0 takes a free one; the line `ready` of the log says which.",
    keys: &[
        key(
            "bind",
            Address,
            Default("\"0.0.0.0\""),
            "address for devices and for the service APIs; `::` is IPv6",
        ),
        key("https_port", PORT, Default("443"), "device API, service API, MQTT and AMQP over WebSocket"),
        key("mqtt_port", PORT, Default("8883"), "MQTT over TLS"),
        key("amqp_port", PORT, Default("5671"), "AMQP over TLS"),
        key(
            "http",
            Switch,
            Default("true"),
            "plain HTTP for `/health` and `/metrics`; on loopback also for the portal and the APIs it uses",
        ),
        key("http_bind", Address, Default("\"127.0.0.1\""), "its address; who reaches it reads the metrics"),
        key("http_port", PORT, Default("8080"), "its port"),
    ],
};

static CERTIFICATE: Shape = Shape {
    header: "[[certificate]]",
    about: "Server certificates, at least one; the first is shown to clients that name no host or one without a \
            certificate of its own. The files are watched: a new pair is taken for new connections, all certificates \
            together or none; a pair that cannot be used leaves the old one in place and is told in the log and in \
            `/health`. SIGHUP reads them again too.",
    keys: &[
        key("chain", Path, Required, "PEM: the server's certificate, then its intermediates"),
        key("key", Path, Required, "PEM: its key"),
        key(
            "hosts",
            Texts,
            Optional,
            "host names that it is shown for, `*.example.com` for every name one label below; without it, those of the \
             certificate",
        ),
    ],
};

static INSTANCE: Shape = Shape {
    header: "[[instance]]",
    about: "Provisioning services, at least one; the first answers where no host name says otherwise. \
            [what the file owns](#what-the-file-owns).",
    keys: &[
        key(
            "name",
            Text,
            Required,
            "3 to 50 of a–z, 0–9 and `-`; its rows are keyed by it, so it never changes",
        ),
        key(
            "id_scope",
            Text,
            Optional,
            "what devices name it by; without it, made once and kept. It never changes",
        ),
        key(
            "hosts",
            Texts,
            Optional,
            "host names by which the service API finds it, besides any that begins with `NAME.`; no service created later can \
             be called like the first label of one of them",
        ),
        key(
            "allocation_policy",
            OneOf(&["hashed", "geoLatency", "static"]),
            Default("\"hashed\""),
            "for enrollments that name none",
        ),
        key("location", Text, Default("\"local\""), "region that resource ids and logs name"),
        key("resource_group", Text, Default("\"muster\""), "resource group of its resource id"),
        key(
            "disable_local_auth",
            Switch,
            Optional,
            "true refuses shared access signatures on the service API; without it, the control plane's",
        ),
        key(
            "public_network_access",
            Switch,
            Optional,
            "false admits private networks alone; without it, the control plane's",
        ),
        key("hub", Tables(&HUB), Optional, ""),
        key("policy", Tables(&POLICY), Optional, ""),
        key("ca", Tables(&CA), Optional, ""),
        key("ip_filter", Tables(&IP_FILTER), Optional, ""),
    ],
};

static HUB: Shape = Shape {
    header: "[[instance.hub]]",
    about: "Linked hubs.",
    keys: &[
        key(
            "connection",
            Secret,
            Required,
            "connection string of a shared access policy with the rights of iothubowner, or registry write and \
             service connect",
        ),
        key(
            "weight",
            Integer(1, limits::MAX_ALLOCATION_WEIGHT as i64),
            Default("1"),
            "share of devices under hashed allocation",
        ),
        key("allocate", Switch, Default("true"), "false takes it out of allocation; its devices stay"),
        key("location", Text, Optional, "region that it is in, for lowest latency"),
    ],
};

static POLICY: Shape = Shape {
    header: "[[instance.policy]]",
    about: "Shared access policies of the service API. An instance that is made and has none in the file gets \
            `provisioningserviceowner` with keys made at random. Keys that are made at random are told once, in \
            `DATA_DIR/NAME.env`, mode 0600.",
    keys: &[
        key("name", Text, Required, "`SharedAccessKeyName`"),
        key(
            "rights",
            Texts,
            Required,
            "of ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, RegistrationStatusRead, \
             RegistrationStatusWrite; the owner has ServiceConfig, DeviceConnect and EnrollmentWrite",
        ),
        key("primary_key", Secret, Optional, "base64; without it, made once and kept"),
        key("secondary_key", Secret, Optional, "base64; without it, made once and kept"),
    ],
};

static CA: Shape = Shape {
    header: "[[instance.ca]]",
    about: "CA certificates that enrollment groups may refer to. Whoever writes this file is believed to hold their \
            keys: they count as verified.",
    keys: &[
        key("name", Text, Required, "by which groups refer to it"),
        key("certificate", Path, Required, "PEM, one certificate"),
        key(
            "verified",
            Switch,
            Default("true"),
            "false: no device passes until possession is proven over the control plane",
        ),
    ],
};

static IP_FILTER: Shape = Shape {
    header: "[[instance.ip_filter]]",
    about: "IP filter rules, asked in order; the first that matches decides. With one rule in the file the whole \
            list is the file's.",
    keys: &[
        key("name", Text, Required, "for the operator"),
        key("action", OneOf(&["accept", "reject"]), Required, "what it does"),
        key("mask", Text, Required, "an IPv4 address or network, like `10.1.0.0/16`"),
        key(
            "target",
            OneOf(&["all", "serviceApi", "deviceApi"]),
            Default("\"all\""),
            "which API it is about",
        ),
    ],
};

static HUBS: Shape = Shape {
    header: "[hubs]",
    about: "How linked hubs are reached.",
    keys: &[
        key(
            "trusted_ca",
            Path,
            Optional,
            "PEM: CAs that hubs' certificates may come from besides those that the machine trusts",
        ),
        key(
            "probe_interval",
            Time(limits::MIN_LINK_PROBE_INTERVAL, DAY),
            Default("\"60s\""),
            "time between two probes of a link; a stale key is told by a log row and a metric before a device fails",
        ),
    ],
};

static REGIONS: Shape = Shape {
    header: "[regions]",
    about: "What `geoLatency` allocation knows, in two files whose lines are explained in \
            [allocation.md](allocation.md#latencies). Both are checked with this file. SIGHUP reads them again, and a \
            changed path too: registrations from then on go by the new files; a mistake in one leaves both old ones in \
            place and is told.",
    keys: &[
        key(
            "networks",
            Path,
            Optional,
            "networks of devices and the regions that they are in; without it, no device's region is known",
        ),
        key(
            "latencies",
            Path,
            Optional,
            "round trips that were measured between a region and a hub; without it, distances decide",
        ),
    ],
};

static LIMITS: Shape = Shape {
    header: "[limits]",
    about: "How much is taken on. What protects the server itself holds in every profile.",
    keys: &[
        key(
            "profile",
            OneOf(&["azure", "self-hosted", "none"]),
            Default("\"self-hosted\""),
            "`azure`: Azure's documented throttles and quotas; `self-hosted`: 5 polls in 10 s of a device; `none`",
        ),
        key("registrations", Rate, Optional, "registrations of an instance, instead of the profile's"),
        key(
            "service_operations",
            Rate,
            Optional,
            "service operations of an instance, instead of the profile's",
        ),
        key("polls", Rate, Optional, "polls of a device, instead of the profile's"),
        key(
            "connections",
            Integer(1, limits::MAX_CONNECTIONS as i64),
            Default("65536"),
            "open connections, all protocols together",
        ),
        key(
            "handshakes",
            Integer(1, limits::MAX_HANDSHAKES as i64),
            Default("2048"),
            "TLS handshakes in progress",
        ),
    ],
};

static MANAGEMENT: Shape = Shape {
    header: "[management]",
    about: "The control plane.",
    keys: &[
        key(
            "bearer_token",
            Secret,
            Optional,
            "a token that may do everything, to begin with; at least 32 characters",
        ),
        key("subscription", Text, Optional, "GUID that resource ids name; without it, made once and kept"),
    ],
};

static IDENTITY_PROVIDER: Shape = Shape {
    header: "[[identity_provider]]",
    about: "Whose bearer tokens are believed (OpenID Connect), on the service API and on the control plane.",
    keys: &[
        key("issuer", Text, Required, "`iss` of its tokens, an https URL"),
        key(
            "audiences",
            Texts,
            Optional,
            "`aud` for the service API; without it, `https://azure-devices-provisioning.net`",
        ),
        key(
            "management_audiences",
            Texts,
            Optional,
            "`aud` for the control plane; without it, those of Azure Resource Manager",
        ),
        key(
            "jwks_url",
            Text,
            Optional,
            "where its keys are; without it and a file, its discovery document says",
        ),
        key("jwks_file", Path, Optional, "its keys as a file"),
        key(
            "portal_client_id",
            Text,
            Optional,
            "the portal as the provider knows it: people sign in there; its redirect URI is `https://HOST/portal/oidc/callback`",
        ),
        key(
            "portal_client_secret_file",
            Path,
            Optional,
            "its secret, read at each sign-in; without it PKCE alone proves the portal",
        ),
        key("portal_scopes", Texts, Optional, "what it asks for besides `openid`; `profile` without it"),
        key("portal_name", Text, Optional, "how the sign-in page calls the provider; its host without"),
        key("role", Tables(&ROLE), Optional, ""),
    ],
};

static ROLE: Shape = Shape {
    header: "[[identity_provider.role]]",
    about: "Who has which role. A token whose claim holds the value has the role.",
    keys: &[
        key("claim", Text, Required, "`roles`, `groups`, `oid`, `sub`, `appid` …"),
        key("value", Text, Required, "what it holds"),
        key(
            "role",
            Text,
            Required,
            "Owner, Contributor, Reader, Device Provisioning Service Data Contributor, Device Provisioning Service \
             Data Reader, Monitoring Contributor or Monitoring Reader",
        ),
        key(
            "scope",
            Text,
            Default("\"/\""),
            "`/`, a subscription's, resource group's or instance's resource id, or an instance's name",
        ),
    ],
};

static LOG: Shape = Shape {
    header: "[log]",
    about: "What the server says of itself. SIGHUP takes a changed `level`.",
    keys: &[
        key("level", OneOf(&["error", "warn", "info", "debug"]), Default("\"info\""), "how much"),
        key("format", OneOf(&["text", "json"]), Default("\"text\""), "lines for people, or an object a line"),
        key(
            "to",
            Text,
            Default("\"stderr\""),
            "`stderr`, `stdout`, or a path that is appended to; SIGHUP opens it anew",
        ),
    ],
};

static ATTEMPTS: Shape = Shape {
    header: "[attempts]",
    about: "The attempt log: a JSON line for each attempt of a device, each assignment and each call, in segments with an \
            index each; the oldest is removed. Timelines and `muster attempts` are made of it. See \
            [timeline.md](timeline.md).",
    keys: &[
        key("folder", Path, Optional, "where; without it, `DATA_DIR/logs`"),
        key(
            "segment_size",
            Size(64 << 10, 1 << 30),
            Default("\"64MiB\""),
            "size at which a new segment begins",
        ),
        key("segments", Integer(1, 100_000), Default("16"), "segments that are kept"),
        key(
            "keep_for",
            Time(3_600, 3_660 * DAY),
            Default("\"93d\""),
            "how long a line is kept; its segment goes as a whole",
        ),
    ],
};

static WORKSPACE: Shape = Shape {
    header: "[workspace]",
    about: "The built-in workspace: what KQL queries see. Rows that are too old, or too many, are removed by the hour; \
            the oldest go first. See [log-store.md](log-store.md).",
    keys: &[
        key(
            "folder",
            Path,
            Optional,
            "where; without it, `DATA_DIR/workspace`. A local disk, for this process alone",
        ),
        key(
            "files",
            Text,
            Optional,
            "the id of a `[[destination]]` of kind `s3`: its bucket takes the files of rows, below `workspace/` after its \
             prefix. What is not in files yet stays in `folder`, and so do files without this key",
        ),
        key("keep_for", Time(3_600, 3_660 * DAY), Default("\"93d\""), "how long a row is kept"),
        key(
            "keep_size",
            Size(64 << 20, 1 << 50),
            Optional,
            "how many bytes all rows may take; without it, what the disk holds",
        ),
        key(
            "addresses",
            OneOf(&["masked", "full", "none"]),
            Default("\"masked\""),
            "how much of a caller's address its rows show: without its last part, as Azure does, all, or nothing",
        ),
    ],
};

static DESTINATION: Shape = Shape {
    header: "[[destination]]",
    about: "Where diagnostic settings may send to besides the workspace, by the id that they name \
            ([diagnostic-settings.md](diagnostic-settings.md)). Each kind has keys of its own: `directory` has `path`; \
            `azure-blob` and `event-hubs` have `connection_string`; `s3` has `bucket`, `region`, `access_key_id`, \
            `secret_access_key`, and may have `endpoint`, `path_style`, `prefix`, `session_token`; `kafka` has \
            `bootstrap`, and may have `tls`, `user`, `password`, `topic`; `otlp` has `endpoint`, and may have `header`, \
            `credential`, `gzip`. All but `directory` may have `trusted_ca`. No proxy is used.",
    keys: &[
        key(
            "id",
            Text,
            Required,
            "the resource id that a setting names in `storageAccountId`, `eventHubAuthorizationRuleId` or \
             `marketplacePartnerId`; case does not matter, and nothing needs to be there in Azure",
        ),
        key(
            "kind",
            OneOf(&["directory", "azure-blob", "s3", "event-hubs", "kafka", "otlp"]),
            Required,
            "what it is",
        ),
        key("path", Path, Optional, "the directory; it is created when the first records come"),
        key(
            "connection_string",
            Secret,
            Optional,
            "of a storage account (`AccountName=…;AccountKey=…` or `BlobEndpoint=…;SharedAccessSignature=…`), or of an \
             Event Hubs namespace (`Endpoint=sb://…`)",
        ),
        key("bucket", Text, Optional, "an existing bucket"),
        key("region", Text, Optional, "its region, `eu-central-1` …"),
        key(
            "endpoint",
            Text,
            Optional,
            "of `s3`: another service than Amazon's; of `otlp`: the URL below which `v1/logs` and `v1/metrics` are",
        ),
        key(
            "path_style",
            Switch,
            Optional,
            "the bucket is in the path, not in the host name; `true` without it",
        ),
        key("prefix", Text, Optional, "before each key of the bucket; a slash at its end makes it a folder"),
        key("access_key_id", Text, Optional, "who writes to the bucket"),
        key("secret_access_key", Secret, Optional, "the key to it"),
        key("session_token", Secret, Optional, "with temporary credentials"),
        key("bootstrap", Texts, Optional, "some brokers of the cluster, `host:port` each"),
        key("tls", Switch, Optional, "brokers are reached over TLS; `true` without it"),
        key("user", Text, Optional, "name for SASL PLAIN"),
        key("password", Secret, Optional, "password for SASL PLAIN"),
        key(
            "topic",
            Text,
            Optional,
            "for settings without `eventHubName`; without it, `insights-logs-{category}` and `insights-metrics-pt1m`",
        ),
        key("header", Text, Optional, "the header that holds `credential`; without it, `authorization`"),
        key("credential", Secret, Optional, "the value of that header, whole: `Bearer …`"),
        key("gzip", Switch, Optional, "messages are packed; `true` without it"),
        key(
            "trusted_ca",
            Path,
            Optional,
            "PEM: CAs that its certificate may come from besides the machine's",
        ),
    ],
};

static TELEMETRY: Shape = Shape {
    header: "[telemetry]",
    about: "A collector that Muster's own traces and metrics go to, over OTLP/HTTP (protobuf). A registration is one \
            trace: the register request with its steps, and the write at the hub. Spans that no collector takes are \
            dropped, never a device's time. Without this table `OTEL_EXPORTER_OTLP_ENDPOINT`, \
            `OTEL_EXPORTER_OTLP_HEADERS` (one header) and `OTEL_SERVICE_NAME` are looked at, also by `muster dev`.",
    keys: &[
        key(
            "endpoint",
            Text,
            Optional,
            "base URL, such as `https://otel.example.com:4318`; `/v1/traces` and `/v1/metrics` are added. Plain HTTP on \
             this machine alone",
        ),
        key("header", Text, Default("\"authorization\""), "the header that holds `credential`"),
        key("credential", Secret, Optional, "the value of that header, whole: `Bearer …`"),
        key(
            "trusted_ca",
            Path,
            Optional,
            "PEM: CAs that the collector's certificate may come from besides the machine's",
        ),
        key("service_name", Text, Default("\"muster\""), "`service.name`"),
        key("traces", Switch, Default("true"), "are there traces"),
        key(
            "traces_per_mille",
            Integer(0, 1_000),
            Default("1000"),
            "of a thousand traces that hold no failure so many are sent; failures always are",
        ),
        key("metrics", Switch, Default("true"), "are there metrics"),
        key("metrics_every", Time(5, 3_600), Default("\"60s\""), "time between two exports of metrics"),
    ],
};

/// The page's text before the tables.
pub const PAGE_HEAD: &str = include_str!("page_head.txt");
