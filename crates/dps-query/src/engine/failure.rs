//! What went wrong, as the port says it.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use dps_monitor::ports::QueryError;

/// The port's word for an engine's.
pub fn failure(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::ResourcesExhausted(_) => QueryError::Memory,
        // Plans are made by us: what is wrong in one is a value of the query.
        DataFusionError::Plan(message) | DataFusionError::Execution(message) => {
            QueryError::Value(message.clone())
        }
        DataFusionError::External(inner) => match inner.downcast_ref::<QueryError>() {
            Some(error) => error.clone(),
            None => inner
                .downcast_ref::<DataFusionError>()
                .map_or_else(|| QueryError::Failed(inner.to_string()), failure),
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => QueryError::Memory,
            ArrowError::ExternalError(inner) => inner
                .downcast_ref::<DataFusionError>()
                .map_or_else(|| QueryError::Failed(inner.to_string()), failure),
            other => QueryError::Failed(other.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => failure(inner),
        DataFusionError::Shared(inner) => failure(inner),
        other => QueryError::Failed(other.to_string()),
    }
}
