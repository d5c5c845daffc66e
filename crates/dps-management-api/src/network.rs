//! `properties.ipFilterRules` and `properties.publicNetworkAccess`. Owns their reading; what a rule does is the model's.

use dps_model::member::Member;
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use dps_model::{Error, limits};

/// Reads the list; none when it is absent.
pub(crate) fn rules(member: &Member<'_>) -> Result<Option<Vec<IpFilterRule>>, Error> {
    let Some(items) = member.list(limits::MAX_IP_FILTER_RULES)? else { return Ok(None) };
    let mut rules: Vec<IpFilterRule> = Vec::with_capacity(items.len());
    for item in &items {
        let rule = rule(item)?;
        if rules.iter().any(|other| other.filter_name.eq_ignore_ascii_case(&rule.filter_name)) {
            return Err(item.get("filterName").wrong("is the name of another rule too"));
        }
        rules.push(rule);
    }
    Ok(Some(rules))
}

fn rule(item: &Member<'_>) -> Result<IpFilterRule, Error> {
    let (name, mask) = (item.get("filterName"), item.get("ipMask"));
    let filter_name = name.required()?.to_owned();
    if filter_name.chars().count() > limits::MAX_IP_FILTER_NAME {
        return Err(name.wrong(&format!("has more than {} characters", limits::MAX_IP_FILTER_NAME)));
    }
    Ok(IpFilterRule {
        filter_name,
        action: item
            .get("action")
            .one_of(&[("Accept", IpFilterAction::Accept), ("Reject", IpFilterAction::Reject)])?
            .ok_or_else(|| item.get("action").wrong("is required"))?,
        ip_mask: IpMask::parse(mask.required()?).map_err(|why| mask.wrong(&format!("is invalid: {why}")))?,
        target: item
            .get("target")
            .one_of(&[
                ("all", IpFilterTarget::All),
                ("serviceApi", IpFilterTarget::ServiceApi),
                ("deviceApi", IpFilterTarget::DeviceApi),
            ])?
            .unwrap_or_default(),
    })
}

/// May everybody call? None when it is absent.
pub(crate) fn public(member: &Member<'_>) -> Result<Option<bool>, Error> {
    member.one_of(&[("Enabled", true), ("Disabled", false)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{public, rules};
    use dps_model::member::Member;

    #[test]
    fn rules_read_and_broken_ones_named() {
        let read = |rule: serde_json::Value| {
            let body = json!({"rules": [rule]});
            let read = rules(&Member::body(&body).unwrap().get("rules"));
            read.map(|rules| serde_json::to_value(rules).unwrap()).map_err(|error| error.message.into_owned())
        };
        let full =
            json!({"filterName": "a", "action": "Reject", "ipMask": "10.0.0.0/8", "target": "deviceApi"});
        assert_eq!(read(full.clone()), Ok(json!([full])));
        let least = read(json!({"filterName": "a", "action": "accept", "ipMask": "1.2.3.4"})).unwrap();
        assert_eq!((&least[0]["action"], &least[0]["target"]), (&json!("Accept"), &json!("all")));
        for (rule, said) in [
            (json!({"action": "Accept", "ipMask": "1.2.3.4"}), "rules[0].filterName is required."),
            (json!({"filterName": "a", "ipMask": "1.2.3.4"}), "rules[0].action is required."),
            (
                json!({"filterName": "a", "action": "Drop", "ipMask": "1.2.3.4"}),
                "rules[0].action must be Accept or Reject.",
            ),
        ] {
            assert_eq!(read(rule), Err(said.to_owned()));
        }
        let mask = read(json!({"filterName": "a", "action": "Accept", "ipMask": "::1"})).unwrap_err();
        assert!(mask.starts_with("rules[0].ipMask is invalid: \"::1\""), "{mask}");
    }

    #[test]
    fn public_access_read() {
        let body = json!({"a": "disabled", "b": 1});
        let body = Member::body(&body).unwrap();
        assert_eq!(public(&body.get("a")).unwrap(), Some(false));
        assert_eq!(public(&body.get("c")).unwrap(), None);
        assert!(public(&body.get("b")).is_err());
    }
}
