//! Azure's public regions and where they are, to a tenth of a degree. Owns the estimate of a round trip from a
//! distance; must not know hubs or networks.

/// A place on earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

const EARTH_RADIUS_KM: f64 = 6_371.0;
/// Kilometres that a round trip over long lines comes to in a millisecond; light in glass would make a hundred.
const KM_PER_MS: f64 = 75.0;
/// What a round trip takes beside the distance.
const BASE_MS: f64 = 2.0;

const REGIONS: &[(&str, f64, f64)] = &[
    ("australiacentral", -35.3, 149.1),
    ("australiacentral2", -35.3, 149.1),
    ("australiaeast", -33.9, 151.2),
    ("australiasoutheast", -37.8, 145.0),
    ("austriaeast", 48.2, 16.4),
    ("belgiumcentral", 50.8, 4.5),
    ("brazilsouth", -23.6, -46.6),
    ("brazilsoutheast", -22.9, -43.2),
    ("canadacentral", 43.7, -79.4),
    ("canadaeast", 46.8, -71.2),
    ("centralindia", 18.6, 73.9),
    ("centralus", 41.6, -93.6),
    ("chilecentral", -33.4, -70.7),
    ("chinaeast", 31.2, 121.5),
    ("chinaeast2", 31.2, 121.5),
    ("chinanorth", 39.9, 116.4),
    ("chinanorth2", 39.9, 116.4),
    ("chinanorth3", 40.8, 114.9),
    ("denmarkeast", 55.7, 12.6),
    ("eastasia", 22.3, 114.2),
    ("eastus", 37.4, -79.8),
    ("eastus2", 36.7, -78.4),
    ("francecentral", 46.4, 2.4),
    ("francesouth", 43.8, 2.2),
    ("germanynorth", 53.1, 8.8),
    ("germanywestcentral", 50.1, 8.7),
    ("indonesiacentral", -6.2, 106.8),
    ("israelcentral", 31.8, 34.8),
    ("italynorth", 45.5, 9.2),
    ("japaneast", 35.7, 139.8),
    ("japanwest", 34.7, 135.5),
    ("jioindiacentral", 21.1, 79.1),
    ("jioindiawest", 22.5, 70.1),
    ("koreacentral", 37.6, 127.0),
    ("koreasouth", 35.2, 129.1),
    ("malaysiawest", 3.1, 101.7),
    ("mexicocentral", 20.6, -100.4),
    ("newzealandnorth", -36.8, 174.8),
    ("northcentralus", 41.9, -87.6),
    ("northeurope", 53.3, -6.3),
    ("norwayeast", 59.9, 10.8),
    ("norwaywest", 59.0, 5.7),
    ("polandcentral", 52.2, 21.0),
    ("qatarcentral", 25.6, 51.4),
    ("southafricanorth", -25.7, 28.2),
    ("southafricawest", -34.1, 18.8),
    ("southcentralus", 29.4, -98.5),
    ("southeastasia", 1.3, 103.8),
    ("southindia", 13.0, 80.2),
    ("spaincentral", 40.4, -3.4),
    ("swedencentral", 60.7, 17.1),
    ("swedensouth", 55.6, 13.0),
    ("switzerlandnorth", 47.5, 8.6),
    ("switzerlandwest", 46.2, 6.1),
    ("uaecentral", 24.5, 54.4),
    ("uaenorth", 25.3, 55.3),
    ("uksouth", 50.9, -0.8),
    ("ukwest", 53.4, -3.1),
    ("usgovarizona", 33.4, -112.1),
    ("usgovtexas", 29.4, -98.5),
    ("usgovvirginia", 37.4, -79.8),
    ("westcentralus", 40.9, -110.2),
    ("westeurope", 52.4, 4.9),
    ("westindia", 19.1, 72.9),
    ("westus", 37.8, -122.4),
    ("westus2", 47.2, -119.9),
    ("westus3", 33.4, -112.1),
];

/// Where an Azure region is, by its normal name.
pub(super) fn place(region: &str) -> Option<Place> {
    let at = REGIONS.binary_search_by_key(&region, |(name, _, _)| name).ok()?;
    let (_, latitude, longitude) = *REGIONS.get(at)?;
    Some(Place { latitude, longitude })
}

/// Round trip between two places, in milliseconds.
pub(super) fn estimate(one: Place, other: Place) -> u32 {
    let (a, b) = (one.latitude.to_radians(), other.latitude.to_radians());
    let (dlat, dlon) = (b - a, (other.longitude - one.longitude).to_radians());
    let haversine = (dlat / 2.0).sin().powi(2) + a.cos() * b.cos() * (dlon / 2.0).sin().powi(2);
    let km = 2.0 * EARTH_RADIUS_KM * haversine.clamp(0.0, 1.0).sqrt().asin();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // half the equator is 270 ms
    let ms = (BASE_MS + km / KM_PER_MS).round() as u32;
    ms
}

#[cfg(test)]
mod tests {
    use super::{Place, REGIONS, estimate, place};

    #[test]
    fn table_is_sorted_and_on_earth() {
        assert!(REGIONS.is_sorted_by(|one, other| one.0 < other.0));
        assert!(REGIONS.iter().all(|(_, lat, lon)| lat.abs() <= 90.0 && lon.abs() <= 180.0));
    }

    #[test]
    fn estimate_grows_with_the_distance_and_is_even_both_ways() {
        let at = |name| place(name).unwrap();
        let (dublin, amsterdam, virginia) = (at("northeurope"), at("westeurope"), at("eastus"));
        assert_eq!(estimate(dublin, dublin), 2);
        assert!(estimate(dublin, amsterdam) < estimate(dublin, virginia));
        assert_eq!(estimate(amsterdam, virginia), estimate(virginia, amsterdam));
        assert!((70..100).contains(&estimate(amsterdam, virginia)));
        let pole = |latitude| Place { latitude, longitude: 0.0 };
        assert_eq!(estimate(pole(90.0), pole(-90.0)), 269);
        let (west, east) =
            (Place { latitude: 0.0, longitude: -179.9 }, Place { latitude: 0.0, longitude: 179.9 });
        assert!(estimate(west, east) < 5, "the date line is no wall");
    }

    #[test]
    fn unknown_region_has_no_place() {
        assert!(place("atlantis").is_none() && place("").is_none() && place("WestEurope").is_none());
    }
}
