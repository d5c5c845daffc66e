//! Rows of a fleet: attempts and their outcomes in pairs, one pair in fifty refused, 50,000 devices of nine plants.

use dps_kql::{TICKS_PER_DAY, TICKS_PER_SECOND, Type, Value};
use dps_monitor::{Row, Table};

/// Three months.
pub const DAYS: u32 = 90;
/// 2026-09-01T00:00:00Z.
pub const START: i64 = 621_355_968_000_000_000 + 1_788_220_800 * TICKS_PER_SECOND;
/// What `now()` is.
pub const NOW: i64 = START + DAYS as i64 * TICKS_PER_DAY;

const DEVICES: u64 = 50_000;
const RESOURCE: &str =
    "/subscriptions/0000/resourcegroups/fleet/providers/microsoft.devices/provisioningservices/fleet-dps";

/// The row of that number among so many.
pub fn row(number: u64, of: u64) -> Row {
    let span = i128::from(DAYS) * i128::from(TICKS_PER_DAY);
    let at = START + i64::try_from(i128::from(number) * span / i128::from(of.max(1))).unwrap_or(0);
    let pair = number / 2;
    let mixed = pair.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20;
    let cells = Table::AzureDiagnostics.columns().iter().map(|(name, ty)| match ty {
        Type::DateTime => Value::DateTime(at),
        Type::String => Value::String(text(name, number, mixed).into()),
        Type::Long => Value::Long(i64::try_from(mixed % 400 * (1 + mixed % 3)).unwrap_or(0)),
        ty => Value::Null(*ty),
    });
    Row { table: Table::AzureDiagnostics, cells: cells.collect() }
}

fn text(column: &str, number: u64, mixed: u64) -> String {
    let (pair, device) = (number / 2, mixed % DEVICES);
    let is_outcome = number % 2 == 1;
    let refused = (mixed / DEVICES).is_multiple_of(50);
    let code = ["401002", "404201", "403007", "429001"].get(usize::try_from(mixed % 7 % 4).unwrap_or(0));
    match column {
        "Category" => "DeviceOperations".to_owned(),
        "OperationName" if is_outcome => "RegistrationAttempt".to_owned(),
        "OperationName" => "AttestationAttempt".to_owned(),
        "ResultType" => if refused { "Failure" } else { "Success" }.to_owned(),
        "ResultSignature" if refused => code.copied().unwrap_or_default().to_owned(),
        "ResultDescription" if refused => {
            format!("Unauthorized: the key of device-{device:05} is not the group's")
        }
        "Level" => if refused { "Error" } else { "Information" }.to_owned(),
        "CorrelationId" => {
            format!("{:08x}-{:04x}-4000-8000-{pair:012x}", mixed & 0xFFFF_FFFF, pair & 0xFFFF)
        }
        "CallerIpAddress" | "CallerIPAddress" => format!("10.{}.{}.XXX", device % 200, device % 97),
        "Resource" => "FLEET-DPS".to_owned(),
        "ResourceType" => "PROVISIONINGSERVICES".to_owned(),
        "ResourceProvider" => "MICROSOFT.DEVICES".to_owned(),
        "_ResourceId" | "ResourceId" => RESOURCE.to_owned(),
        "Type" => "AzureDiagnostics".to_owned(),
        "SourceSystem" => "Azure".to_owned(),
        "properties_s" => format!(
            r#"{{"id":"device-{device:05}","type":"SymmetricKey","protocol":"{}","enrollmentGroup":"plant-{}"}}"#,
            ["Mqtt", "Amqp", "Https"]
                .get(usize::try_from(device % 3).unwrap_or(0))
                .copied()
                .unwrap_or_default(),
            device % 9
        ),
        _ => String::new(),
    }
}
