//! What an operator tells of networks and latencies, in two small files, and what distance tells where nothing was
//! measured. Owns the files' form (docs/reference/allocation.md) and the look-ups; must not open files: whoever does
//! hands their text over and may do so again while the server runs.

mod networks;
mod table;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dps_model::HubName;
use dps_model::hub::LinkedHub;
use dps_model::limits::{
    MAX_LATENCIES, MAX_LATENCY_MS, MAX_REGION_FILE, MAX_REGION_NAME, MAX_REGION_NETWORKS, MAX_REGIONS,
};

use self::networks::{Network, Networks};
use self::table::Place;
use crate::ports::Regions;

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionFile {
    /// Which network is in which region.
    Networks,
    /// Which round trips were measured.
    Latencies,
}

/// Where a file is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct RegionFileError {
    /// Which file.
    pub file: RegionFile,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// One sentence.
    pub why: String,
}

/// Networks, regions and latencies.
#[derive(Default)]
pub struct RegionMap {
    /// Names by number.
    names: Vec<String>,
    numbers: HashMap<String, u16>,
    /// Places that the operator gave, by the region's name.
    places: HashMap<String, Place>,
    networks: Networks,
    /// Round trips in milliseconds, by region and hub.
    measured: HashMap<(String, String), u32>,
}

/// A region's name as it is compared: `West Europe` is `westeurope`.
fn normal(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}

impl RegionMap {
    /// Reads both files. A region that is named must be Azure's, or have a place or a latency of its own.
    pub fn parse(networks: &str, latencies: &str) -> Result<Self, RegionFileError> {
        let mut map = Self::default();
        let mut named = Vec::new();
        for line in lines(RegionFile::Networks, networks)? {
            match *line.fields.as_slice() {
                [(_, "place"), name, latitude, longitude] => {
                    map.add_place(&line, name, latitude, longitude)?;
                }
                [network, region] => {
                    map.add_network(&line, network, region)?;
                    if map.names.len() > named.len() {
                        named.push((line.number, region));
                    }
                }
                _ => return Err(line.wrong("write NETWORK REGION, or place REGION LATITUDE LONGITUDE")),
            }
        }
        for line in lines(RegionFile::Latencies, latencies)? {
            match *line.fields.as_slice() {
                [region, hub, ms] => map.add_latency(&line, region, hub, ms)?,
                _ => return Err(line.wrong("write REGION HUB MILLISECONDS")),
            }
        }
        let measured: HashSet<&str> = map.measured.keys().map(|(region, _)| region.as_str()).collect();
        for (number, (column, text)) in named {
            let region = normal(text);
            if map.place(&region).is_none() && !measured.contains(region.as_str()) {
                let why = format!(
                    "region {text:?} is none of Azure's and has no place and no measured latency; correct it, or add \
                     a line like: place {text} 52.5 13.4"
                );
                return Err(RegionFileError { file: RegionFile::Networks, line: number, column, why });
            }
        }
        Ok(map)
    }

    /// Networks whose region is known.
    pub fn networks(&self) -> usize {
        self.networks.len()
    }

    /// Round trips that were measured.
    pub fn latencies(&self) -> usize {
        self.measured.len()
    }

    fn place(&self, region: &str) -> Option<Place> {
        self.places.get(region).copied().or_else(|| table::place(region))
    }

    fn number(&mut self, line: &Line<'_>, field: Field<'_>) -> Result<u16, RegionFileError> {
        let name = region(line, field)?;
        if let Some(number) = self.numbers.get(&name) {
            return Ok(*number);
        }
        if self.names.len() >= MAX_REGIONS {
            return Err(line.bad(field, format!("at most {MAX_REGIONS} regions are told apart")));
        }
        let number = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        Ok(number)
    }

    fn add_network(
        &mut self,
        line: &Line<'_>,
        network: Field<'_>,
        region: Field<'_>,
    ) -> Result<(), RegionFileError> {
        let parsed = Network::parse(network.1).map_err(|why| line.bad(network, why))?;
        let number = self.number(line, region)?;
        if self.networks.insert(parsed, number).is_some_and(|other| other != number) {
            return Err(line.bad(network, format!("network {} is in another region already", network.1)));
        }
        if self.networks.len() > MAX_REGION_NETWORKS {
            return Err(line.bad(network, format!("at most {MAX_REGION_NETWORKS} networks are kept")));
        }
        Ok(())
    }

    fn add_place(
        &mut self,
        line: &Line<'_>,
        name: Field<'_>,
        latitude: Field<'_>,
        longitude: Field<'_>,
    ) -> Result<(), RegionFileError> {
        let degrees = |field: Field<'_>, most: f64| {
            let number = field.1.parse().ok().filter(|degrees: &f64| degrees.abs() <= most);
            number
                .ok_or_else(|| line.bad(field, format!("{:?} is no number from -{most} to {most}", field.1)))
        };
        let place = Place { latitude: degrees(latitude, 90.0)?, longitude: degrees(longitude, 180.0)? };
        let key = region(line, name)?;
        if self.places.insert(key, place).is_some() {
            return Err(line.bad(name, format!("region {} has a place already", name.1)));
        }
        if self.places.len() > MAX_REGIONS {
            return Err(line.bad(name, format!("at most {MAX_REGIONS} places are kept")));
        }
        Ok(())
    }

    fn add_latency(
        &mut self,
        line: &Line<'_>,
        from: Field<'_>,
        hub: Field<'_>,
        ms: Field<'_>,
    ) -> Result<(), RegionFileError> {
        let name = HubName::parse(hub.1).map_err(|error| line.bad(hub, error.to_string()))?;
        let number = ms.1.parse().ok().filter(|ms| *ms <= MAX_LATENCY_MS).ok_or_else(|| {
            line.bad(ms, format!("{:?} is no whole number of milliseconds up to {MAX_LATENCY_MS}", ms.1))
        })?;
        let key = (region(line, from)?, name.key());
        if self.measured.insert(key, number).is_some() {
            return Err(
                line.bad(hub, format!("the latency from {} to {} stands above already", from.1, hub.1))
            );
        }
        if self.measured.len() > MAX_LATENCIES {
            return Err(line.bad(from, format!("at most {MAX_LATENCIES} latencies are kept")));
        }
        Ok(())
    }
}

impl Regions for RegionMap {
    fn region_of(&self, client: IpAddr) -> Option<String> {
        self.names.get(usize::from(self.networks.find(client)?)).cloned()
    }

    /// What was measured wins over what the distance tells.
    fn latency(&self, region: &str, hub: &LinkedHub) -> Option<u32> {
        let region = normal(region);
        let places = || Some((self.place(&region)?, self.place(&normal(&hub.location))?));
        let estimated = places().map(|(one, other)| table::estimate(one, other));
        self.measured.get(&(region, hub.name.key())).copied().or(estimated)
    }
}

/// A map that is replaced while the server runs.
#[derive(Default)]
pub struct ReloadableRegions(ArcSwap<RegionMap>);

impl ReloadableRegions {
    /// Starts with that map.
    pub fn new(map: RegionMap) -> Self {
        Self(ArcSwap::from_pointee(map))
    }

    /// Registrations from now on are allocated by that map.
    pub fn replace(&self, map: RegionMap) {
        self.0.store(Arc::new(map));
    }
}

impl Regions for ReloadableRegions {
    fn region_of(&self, client: IpAddr) -> Option<String> {
        self.0.load().region_of(client)
    }

    fn latency(&self, region: &str, hub: &LinkedHub) -> Option<u32> {
        self.0.load().latency(region, hub)
    }
}

/// Column and text.
type Field<'a> = (usize, &'a str);

/// A line that says something.
struct Line<'a> {
    file: RegionFile,
    number: usize,
    fields: Vec<Field<'a>>,
}

impl Line<'_> {
    fn bad(&self, field: Field<'_>, why: impl Into<String>) -> RegionFileError {
        RegionFileError { file: self.file, line: self.number, column: field.0, why: why.into() }
    }

    fn wrong(&self, why: &str) -> RegionFileError {
        self.bad(self.fields.first().copied().unwrap_or((1, "")), why)
    }
}

fn region(line: &Line<'_>, field: Field<'_>) -> Result<String, RegionFileError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if field.1.len() > MAX_REGION_NAME || !field.1.chars().all(legal) {
        let why = format!("a region's name has at most {MAX_REGION_NAME} letters, digits and - _ .");
        return Err(line.bad(field, why));
    }
    Ok(normal(field.1))
}

/// The lines with fields between blanks; what follows a `#` is a comment.
fn lines(file: RegionFile, text: &str) -> Result<impl Iterator<Item = Line<'_>>, RegionFileError> {
    if text.len() > MAX_REGION_FILE {
        let why = format!("the file has {} bytes; at most {MAX_REGION_FILE} are read", text.len());
        return Err(RegionFileError { file, line: 1, column: 1, why });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(text.lines().enumerate().filter_map(move |(at, line)| fields(file, at + 1, line)))
}

fn fields(file: RegionFile, number: usize, line: &str) -> Option<Line<'_>> {
    let said = line.split('#').next().unwrap_or_default();
    let mut fields = Vec::new();
    let mut column = 1;
    for piece in said.split(char::is_whitespace) {
        if !piece.is_empty() {
            fields.push((column, piece));
        }
        column += piece.chars().count() + 1;
    }
    (!fields.is_empty()).then_some(Line { file, number, fields })
}

#[cfg(test)]
mod tests {
    use super::{RegionFile, RegionMap, ReloadableRegions};
    use crate::fixtures::instance_with_hubs;
    use crate::ports::Regions as _;

    fn map(networks: &str, latencies: &str) -> RegionMap {
        RegionMap::parse(networks, latencies).unwrap()
    }

    #[test]
    fn client_found_by_network_and_latency_by_distance() {
        let mut instance = instance_with_hubs(&["eu.example", "us.example", "plant.example"]);
        for (hub, location) in instance.linked_hubs.iter_mut().zip(["West Europe", "eastus", "plant"]) {
            hub.location = location.into();
        }
        let known = map(
            "# offices\n10.1.0.0/16 NorthEurope # Dublin\n\n10.2.0.0/16\tplant\nplace plant 52.5 13.4\n",
            "",
        );
        assert_eq!(known.region_of("10.1.2.3".parse().unwrap()).as_deref(), Some("northeurope"));
        assert_eq!(known.region_of("10.9.2.3".parse().unwrap()), None);
        let from =
            |region| instance.linked_hubs.iter().map(|hub| known.latency(region, hub).unwrap()).collect();
        let dublin: Vec<u32> = from("northeurope");
        assert!(dublin[0] < dublin[2] && dublin[2] < dublin[1], "{dublin:?}");
        let plant: Vec<u32> = from("plant");
        assert_eq!(plant[2], 2);
        assert!(known.latency("atlantis", &instance.linked_hubs[0]).is_none());
    }

    #[test]
    fn measured_latency_wins_and_makes_a_region_known() {
        let instance = instance_with_hubs(&["a.example", "b.example"]);
        let known = map("10.0.0.0/8 cellar", "cellar A.example 5\nwesteurope b.example 0");
        assert_eq!(known.latency("cellar", &instance.linked_hubs[0]), Some(5));
        assert_eq!(known.latency("cellar", &instance.linked_hubs[1]), None);
        assert_eq!((known.networks(), known.latencies()), (1, 2));
    }

    #[test]
    fn mistake_named_by_line_and_column() {
        use RegionFile::{Latencies, Networks};
        for (networks, latencies, file, line, column, word) in [
            ("10.0.0.0/8", "", Networks, 1, 1, "write NETWORK"),
            ("10.0.0.0/8 eastus\n  10.0.0.1/8 eastus", "", Networks, 2, 3, "behind its prefix"),
            ("10.0.0.0/8 eastus\n10.0.0.0/8 westus", "", Networks, 2, 1, "another region"),
            ("10.0.0.0/8 atlantis", "", Networks, 1, 12, "none of Azure's"),
            ("10.0.0.0/8 öst", "", Networks, 1, 12, "letters"),
            ("place x 91 0", "", Networks, 1, 9, "no number"),
            ("place x NaN 0", "", Networks, 1, 9, "no number"),
            ("place x 1 1\nplace X 1 1", "", Networks, 2, 7, "already"),
            ("", "eastus a.example", Latencies, 1, 1, "write REGION"),
            ("", "eastus a.example 1.5", Latencies, 1, 18, "whole number"),
            ("", "eastus a/b 1", Latencies, 1, 8, "IoT hub host name"),
            ("", "\u{feff}eastus a 1\neastus A 2", Latencies, 2, 8, "already"),
        ] {
            let error = RegionMap::parse(networks, latencies).err().unwrap();
            assert_eq!((error.file, error.line, error.column), (file, line, column), "{error}");
            assert!(error.why.contains(word), "{error}");
        }
    }

    #[test]
    fn reloaded_map_answers_from_then_on() {
        let regions = ReloadableRegions::default();
        let client = "10.0.0.1".parse().unwrap();
        assert_eq!(regions.region_of(client), None);
        regions.replace(map("10.0.0.0/8 eastus", ""));
        assert_eq!(regions.region_of(client).as_deref(), Some("eastus"));
    }
}
