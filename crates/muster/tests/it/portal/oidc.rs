//! Signing in at an identity provider of this machine, as a browser does it.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::sessions::ask;
use crate::harness::run;
use crate::harness::server::{Start, now};

/// A provider; the nonce is that of the sign-in that it answers.
struct Login {
    url: String,
    key: EcdsaKeyPair,
    nonce: Mutex<String>,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Login {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let login = Arc::new(Self { url, key, nonce: Mutex::default() });
        let served = Arc::clone(&login);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.answer(stream).await;
            }
        });
        login
    }

    async fn answer(&self, mut stream: TcpStream) {
        let mut read = vec![0; 16 * 1024];
        let mut length = 0;
        while !read[..length].windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut read[length..]).await {
                Ok(more) if more > 0 => length += more,
                _ => return,
            }
        }
        let asked = String::from_utf8_lossy(&read[..length]).into_owned();
        let body = match asked.split(' ').nth(1).unwrap() {
            "/.well-known/openid-configuration" => json!({
                "issuer": self.url, "jwks_uri": format!("{}/keys", self.url),
                "authorization_endpoint": format!("{}/authorize", self.url),
                "token_endpoint": format!("{}/token", self.url),
            }),
            "/keys" => {
                let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
                json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "x": base64(x), "y": base64(y)}]})
            }
            _ => json!({"id_token": self.token()}),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await; // who asked may be gone
    }

    fn token(&self) -> String {
        let claims = json!({
            "iss": self.url, "aud": "portal", "sub": "1", "email": "ada@login.test", "groups": ["operators"],
            "exp": now().seconds() + 300, "nonce": *self.nonce.lock().unwrap(),
        });
        let header = json!({"alg": "ES256", "kid": "1", "typ": "JWT"});
        let signed = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64(signature))
    }
}

fn parameter(url: &str, name: &str) -> String {
    let pairs = url.split_once('?').unwrap().1.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(given, _)| *given == name).unwrap().1.to_owned()
}

#[test]
fn person_signs_in_at_their_provider_and_may_what_their_role_says() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let login = Login::start().await;
        let settings = folder.path().join("login.toml");
        let text = format!(
            "issuer = '{}'\nportal_client_id = 'portal'\nportal_name = 'Our login'\n[[role_assignments]]\n\
             claim = 'groups'\nvalue = 'operators'\nrole = 'Reader'\n[[role_assignments]]\nclaim = 'groups'\n\
             value = 'operators'\nrole = 'Device Provisioning Service Data Reader'\n",
            login.url
        );
        std::fs::write(&settings, text).unwrap();
        let data = folder.path().join("data");
        let start =
            Start::on(&data).with_metrics().with(&["--identity-provider", settings.to_str().unwrap()]);
        let server = start.server().await;
        let endpoint = &server.endpoint;
        let offered = ask(endpoint, "GET", "/portal/session", &[], None).await.json();
        assert_eq!(offered, json!({"providers": [{"name": "Our login", "url": "/portal/oidc/0"}]}));

        let host = format!("127.0.0.1:{}", endpoint.http);
        let left = ask(endpoint, "GET", "/portal/oidc/0", &[("Host", &host)], None).await;
        let (to, kept) = (&left.headers["location"], &left.headers["set-cookie"]);
        assert!(left.status == 302 && to.starts_with(&format!("{}/authorize?", login.url)), "{to}");
        assert!(
            kept.contains("HttpOnly") && kept.contains("SameSite=Lax") && kept.contains("Path=/portal/oidc")
        );
        let back = format!("http%3A%2F%2F127.0.0.1%3A{}%2Fportal%2Foidc%2Fcallback", endpoint.http);
        assert_eq!(parameter(to, "redirect_uri"), back);
        *login.nonce.lock().unwrap() = parameter(to, "nonce");
        let kept = kept.split(';').next().unwrap();
        let callback = format!("/portal/oidc/callback?code=c&state={}", parameter(to, "state"));

        for (target, cookie) in [
            (callback.as_str(), "none=1"),
            ("/portal/oidc/callback?code=c&state=x", kept),
            ("/portal/oidc/callback?error=%3Cscript%3Eaccess_denied", kept),
            ("/portal/oidc/7", kept),
        ] {
            let refused = ask(endpoint, "GET", target, &[("Host", &host), ("Cookie", cookie)], None).await;
            let page = String::from_utf8(refused.body).unwrap();
            assert_eq!(refused.status, 401, "{target}");
            assert!(page.contains("did not succeed") && !page.contains("script"), "{page}");
        }

        let came = ask(endpoint, "GET", &callback, &[("Host", &host), ("Cookie", kept)], None).await;
        assert_eq!((came.status, &came.headers["location"][..]), (302, "/portal/"));
        let cookies = came.cookies();
        let cookie = cookies.iter().find_map(|cookie| cookie.strip_prefix("muster_session=")).unwrap();
        let cookie = format!("muster_session={}", cookie.split(';').next().unwrap());
        let own = [("Cookie", &cookie[..]), ("X-Muster-Portal", "1")];
        let shown = ask(endpoint, "GET", "/portal/session", &own, None).await.json();
        assert_eq!((&shown["name"], &shown["kind"]), (&json!("ada@login.test"), &json!("oidc")));
        let may = |name: &str| shown["may"][name].clone();
        assert_eq!((may("readEnrollments"), may("writeEnrollments")), (json!(true), json!(false)));
        assert_eq!((may("configure"), may("queryWorkspace")), (json!(false), Value::Bool(false)));
        let service = format!("{}?api-version=2022-02-05", server.env["MUSTER_RESOURCE_ID"]);
        assert_eq!(ask(endpoint, "GET", &service, &own, None).await.status, 200);
        assert_eq!(ask(endpoint, "DELETE", &service, &own, None).await.status, 403);
        server.stop();
    });
}
