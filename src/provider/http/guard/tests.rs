//! Which addresses are public, and what a list allows.

use proptest::prelude::*;

use super::*;

fn has(allowed: &str, address: &str) -> bool {
    let allowed: Allowed = allowed.parse().unwrap();
    allowed.has(address.parse().unwrap())
}

#[test]
fn only_the_internet_is_public() {
    for public in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2002:101:101::1",
    ] {
        assert!(has("", public), "{public}");
    }
    for special in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::1.1.1.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!has("", special), "{special}");
    }
}

#[test]
fn a_list_allows_what_it_names_and_nothing_beside_it() {
    let list = "10.1.0.0/16,127.0.0.1 fd00::/8, ::1";
    for allowed in [
        "10.1.255.255",
        "127.0.0.1",
        "::ffff:10.1.0.9",
        "fdff::1",
        "::1",
    ] {
        assert!(has(list, allowed), "{allowed}");
    }
    for other in ["10.2.0.0", "127.0.0.2", "fc00::1", "::2", "::ffff:10.2.0.0"] {
        assert!(!has(list, other), "{other}");
    }
    assert!(has("0.0.0.0/0", "10.0.0.1") && !has("0.0.0.0/0", "::1"));
    let hosts: Allowed = "jobs.internal, LOCALHOST.".parse().unwrap();
    for (host, is_in) in [
        ("jobs.internal", true),
        ("Jobs.Internal.", true),
        ("localhost", true),
        ("a.jobs.internal", false),
        ("internal", false),
    ] {
        assert_eq!(hosts.has_host(host), is_in, "{host}");
    }
    assert_eq!(hosts.to_string(), "jobs.internal, localhost");
}

#[test]
fn what_is_no_list() {
    for text in [
        "http://jobs.internal",
        "jobs.internal:80",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0/8",
        "1.2.3",
        "*",
    ] {
        let parsed: Result<Allowed, _> = text.parse();
        assert_eq!(parsed, Err(AllowedError(text.into())));
    }
}

/// However an address is written, the URL has the address itself.
#[test]
fn an_address_in_a_url_is_checked_in_every_notation() {
    let check = |url: &str| Allowed::default().check(&url.parse().unwrap());
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://169.254.169.254/latest/meta-data/",
    ] {
        assert_eq!(check(url), Err(NotAllowed), "{url}");
    }
    assert_eq!(check("https://1.1.1.1/"), Ok(()));
    assert_eq!(check("https://localhost/"), Ok(()), "it is resolved");
}

#[tokio::test]
async fn a_name_is_resolved_to_what_is_allowed() {
    let resolve = async |allowed: &str| {
        let resolver = Resolver(Arc::new(allowed.parse().unwrap()));
        let found = resolver.resolve("localhost".parse().unwrap()).await;
        found.map(Iterator::count).map_err(|why| why.to_string())
    };
    assert_eq!(resolve("").await, Err(NotAllowed.to_string()));
    assert_eq!(resolve("10.0.0.0/8").await, Err(NotAllowed.to_string()));
    assert!(resolve("localhost").await.is_ok_and(|n| n > 0));
    assert!(resolve("127.0.0.0/8, ::1").await.is_ok_and(|n| n > 0));
}

proptest! {
    /// A list shows as what it was parsed from.
    #[test]
    fn a_list_is_shown_as_it_is_parsed(address in any::<u32>(), bits in 0_u32..=32, v6 in any::<u128>()) {
        let text = format!("a.example, {}/{bits}, {}/128", Ipv4Addr::from_bits(address), Ipv6Addr::from_bits(v6));
        let allowed: Allowed = text.parse().unwrap();
        prop_assert_eq!(allowed.to_string(), text);
        prop_assert!(allowed.networks[0].contains(Ipv4Addr::from_bits(address).into()));
    }
}
