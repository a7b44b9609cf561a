//! Which images the sidecar may have.

/// The image that is injected, and where else it may come from.
#[derive(Clone, Debug)]
pub struct Images {
    /// What is injected.
    pub injected: String,
    /// Names under which registry mirrors serve it, without tag and digest.
    pub mirrors: Vec<String>,
}

impl Images {
    /// Whether a sidecar that has `image` may keep it: any version from the injected image's repository or a mirror of it. So
    /// another admission webhook may pin a digest or name a mirror, and replicas of two releases accept each other's work.
    pub fn allow(&self, image: &str) -> bool {
        let mirrors = self.mirrors.iter().map(String::as_str);
        // a name without a version means "latest", which nobody has chosen
        mirrors.chain([repository(&self.injected)]).any(|allowed| {
            let version = image.strip_prefix(allowed);
            version.is_some_and(|version| version.starts_with([':', '@']))
        })
    }
}

/// An image's name without tag and digest. A colon before the last slash is a port's.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_what_is_left_of_an_image_without_its_version() {
        for (image, expected) in [
            ("sidecar", "sidecar"),
            ("sidecar:1", "sidecar"),
            ("host:5000/sidecar", "host:5000/sidecar"),
            ("host:5000/a/sidecar:1", "host:5000/a/sidecar"),
            ("host/sidecar@sha256:0", "host/sidecar"),
            ("host:5000/sidecar:1@sha256:0", "host:5000/sidecar"),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }

    #[test]
    fn every_version_of_the_repository_and_of_its_mirrors_is_allowed_and_nothing_else() {
        let images =
            Images { injected: "host:5000/sidecar:1".to_owned(), mirrors: vec!["mirror/sidecar".to_owned()] };
        for allowed in [
            "host:5000/sidecar:2",
            "host:5000/sidecar@sha256:0",
            "mirror/sidecar:1",
            "mirror/sidecar:1@sha256:0",
        ] {
            assert!(images.allow(allowed), "{allowed}");
        }
        for other in
            ["host:5000/sidecar", "host:5000/sidecar2:1", "host:5000/sidecar/x:1", "sidecar:1", "evil:1", ""]
        {
            assert!(!images.allow(other), "{other}");
        }
    }
}
