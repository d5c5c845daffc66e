//! Every bound of this crate, by name. Sizes are bytes.

/// Destinations of a server.
pub const MAX_DESTINATIONS: usize = 32;
/// Longest resource id that is made into a path (Azure's longest names come to some 400 characters).
pub const MAX_RESOURCE_ID: usize = 1_024;
/// Largest record as JSON: what the smallest destination takes with its envelope (Event Hubs: 1 MB a message).
pub const MAX_RECORD: usize = 512 << 10;
/// How far back from the end of a file a line that a crash tore is looked for: no line is longer.
pub const MAX_TORN_LINE: u64 = 1 << 20;
/// Seconds until a connection is made.
pub const CONNECT_SECONDS: u64 = 10;
/// Seconds until an answer has come.
pub const REQUEST_SECONDS: u64 = 30;
/// How much of an answer is read.
pub const MAX_ANSWER: usize = 16 << 10;
/// How much of what a destination says is wrong is passed on, in characters.
pub const MAX_REASON: usize = 300;
/// Longest wait that a destination may ask for, in seconds.
pub const MAX_RETRY_AFTER: u64 = 900;
/// Longest connection string.
pub const MAX_CONNECTION_STRING: usize = 4 << 10;
/// Largest block of an append blob (Azure: 4 MiB in every version that knows append blobs).
pub const MAX_BLOCK: usize = 4 << 20;
/// Most blocks of an append blob (Azure: "Scalability targets for Blob storage").
pub const MAX_BLOCKS: u64 = 50_000;
/// Blobs of one hour that are looked through for one with room.
pub const MAX_BLOBS_OF_HOUR: u32 = 1_000;
/// How often one block is tried in one delivery before it is for later.
pub const MAX_BLOCK_TRIES: usize = 8;
/// Blobs of which it is remembered how far they are.
pub const MAX_BLOBS_KNOWN: usize = 256;
/// Longest name of a bucket (S3: "Bucket naming rules").
pub const MAX_BUCKET: usize = 63;
/// Longest prefix of keys; a key has at most 1,024 bytes.
pub const MAX_PREFIX: usize = 256;
/// Largest message: Event Hubs takes 1 MB with its envelope.
pub const MAX_MESSAGE: usize = 1_000_000;
/// Largest answer of a broker; metadata of one topic with thousands of partitions fit.
pub const MAX_KAFKA_ANSWER: usize = 4 << 20;
/// Most members of an array in a broker's answer.
pub const MAX_KAFKA_MEMBERS: usize = 20_000;
/// Longest name of a topic (Kafka).
pub const MAX_TOPIC: usize = 249;
/// Most addresses of a cluster.
pub const MAX_BOOTSTRAP: usize = 16;
/// Topics whose leaders are remembered.
pub const MAX_TOPICS_KNOWN: usize = 256;
/// Most headers that an OpenTelemetry receiver is sent besides its own.
pub const MAX_HEADERS: usize = 32;
/// Largest object that is read, whole or in part: a file of rows has some hundred megabytes at most.
pub const MAX_OBJECT: usize = 1 << 30;
/// How often a request about an object is tried.
pub const MAX_OBJECT_TRIES: u32 = 4;
/// The wait before the second try; the third waits twice as long, and so on.
pub const OBJECT_RETRY: std::time::Duration = std::time::Duration::from_millis(250);
