//! Encrypts a message for one subscription, after RFC 8291 and the coding `aes128gcm` of RFC 8188, with the primitives
//! of `ring`, which is here for TLS. The crates that do all of it bring `OpenSSL`, or second versions of what is here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The longest message: what a push service must accept (RFC 8030, 7.2) is 4,096 bytes, of which the coding needs 103.
pub(super) const PLAIN_MAX: usize = 3_993;

/// An uncompressed point of P-256.
const POINT: usize = 65;
const AUTH: usize = 16;
const SALT: usize = 16;

/// The size of a record, in the header. A message is one.
const RECORD: u32 = 4_096;

/// After the last byte of the last record.
const LAST: u8 = 2;

/// The keys of a subscription.
pub(super) struct Keys {
    public: Vec<u8>,
    auth: Vec<u8>,
}

impl Keys {
    /// As `PushSubscription.toJSON()` has them, padded or not. `None`: they are no such keys.
    pub(super) fn parse(p256dh: &str, auth: &str) -> Option<Self> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let keys = Self {
            public: bytes(p256dh)?,
            auth: bytes(auth)?,
        };
        (keys.public.len() == POINT && keys.auth.len() == AUTH).then_some(keys)
    }
}

/// The body of a request. An error: the public key is no point of the curve, or there is no randomness.
pub(super) fn sealed(plain: &[u8], keys: &Keys) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let mut salt = [0; SALT];
    random.fill(&mut salt)?;
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let own_public = own.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &keys.public);
    let body = |secret: &[u8]| body(plain, keys, &salt, own_public.as_ref(), secret);
    agree_ephemeral(own, &theirs, body)?
}

/// The same with this salt and public key, and the secret that it has in common with the subscription.
fn body(
    plain: &[u8],
    keys: &Keys,
    salt: &[u8; SALT],
    own_public: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let shared = Salt::new(HKDF_SHA256, &keys.auth).extract(secret);
    let info = [&b"WebPush: info\0"[..], &keys.public, own_public].concat();
    let secret: [u8; 32] = expanded(&shared, &info)?;
    let prk = Salt::new(HKDF_SHA256, salt).extract(&secret);
    let key: [u8; 16] = expanded(&prk, b"Content-Encoding: aes128gcm\0")?;
    let nonce: [u8; 12] = expanded(&prk, b"Content-Encoding: nonce\0")?;

    let mut record = [plain, &[LAST]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
    // The key is of this message alone.
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::empty(),
        &mut record,
    )?;
    let length = u8::try_from(own_public.len()).map_err(|_| Unspecified)?;
    Ok([
        &salt[..],
        &RECORD.to_be_bytes(),
        &[length],
        own_public,
        &record,
    ]
    .concat())
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expanded<const N: usize>(prk: &Prk, info: &[u8]) -> Result<[u8; N], Unspecified> {
    let mut out = [0; N];
    prk.expand(&[info], Length(N))?.fill(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The subscription of RFC 8291, appendix A.
    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH_SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    /// All of the example of RFC 8291, appendix A, but for the agreement on the secret, which `ring` makes.
    #[test]
    fn the_example_of_the_rfc() {
        const OWN_PUBLIC: &str = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
        const EXPECTED: &str = concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vC",
            "YLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXL",
            "WyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let keys = Keys::parse(P256DH, AUTH_SECRET).unwrap();
        let salt: [u8; SALT] = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let secret = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let plain = b"When I grow up, I want to be a watermelon";
        let sealed = body(plain, &keys, &salt, &bytes(OWN_PUBLIC), &secret).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(sealed), EXPECTED);
    }

    #[test]
    fn the_longest_message_fills_what_a_service_must_accept() {
        let keys = Keys::parse(P256DH, &format!("{AUTH_SECRET}==")).unwrap();
        let sealed = |n: usize| sealed(&vec![b'x'; n], &keys).unwrap();
        assert_eq!(sealed(PLAIN_MAX).len(), 4_096);
        let (one, other) = (sealed(1), sealed(1));
        assert_eq!(one[16..21], [0, 0, 16, 0, 65]);
        // Neither salt nor key is ever the same.
        assert_ne!(one[..16], other[..16]);
        assert_ne!(one[21..86], other[21..86]);
    }

    #[test]
    fn what_are_no_keys() {
        assert!(Keys::parse(P256DH, "BTBZMqHH6r4Tts7J_aSI").is_none());
        assert!(Keys::parse(AUTH_SECRET, AUTH_SECRET).is_none());
        assert!(Keys::parse("=", "+").is_none());
        let nowhere = URL_SAFE_NO_PAD.encode([4; POINT]);
        let keys = Keys::parse(&nowhere, AUTH_SECRET).unwrap();
        assert!(sealed(b"x", &keys).is_err(), "no point of the curve");
    }
}
