use std::{collections::BTreeMap, io::Read as _, path::PathBuf};

use super::{layout::parse_ldd, *};

fn entries(archive: &[u8]) -> BTreeMap<String, (tar::Header, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), (entry.header().clone(), content))
    });
    entries.collect()
}

fn blob<'a>(image: &'a BTreeMap<String, (tar::Header, Vec<u8>)>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let (_, content) = &image[&format!("blobs/sha256/{digest}")];
    assert_eq!(hex::encode(Sha256::digest(content)), digest, "a blob is stored under its digest");
    assert_eq!(descriptor["size"], content.len());
    content
}

async fn sample() -> Image {
    let layout = Layout::new().with_ca_certificates().unwrap();
    let layout = layout.with_binary("sample", &std::env::current_exe().unwrap()).await.unwrap();
    Image::new("localhost/sample:test", layout, &["/sample"]).unwrap()
}

#[tokio::test]
async fn an_archive_holds_all_that_its_index_names() {
    let image = sample().await;
    let parts = entries(&image.archive);
    assert_eq!(parts["oci-layout"].1, br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index: Value = serde_json::from_slice(&parts["index.json"].1).unwrap();
    let described = &index["manifests"][0];
    assert_eq!(described["annotations"]["io.containerd.image.name"], "localhost/sample:test");
    assert_eq!(described["digest"], image.digest());
    let manifest: Value = serde_json::from_slice(blob(&parts, described)).unwrap();
    let config: Value = serde_json::from_slice(blob(&parts, &manifest["config"])).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/sample"]));
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);

    let layer = entries(blob(&parts, &manifest["layers"][0]));
    let (header, content) = &layer["sample"];
    assert_eq!(header.mode().unwrap(), 0o755);
    assert_eq!(*content, fs::read(std::env::current_exe().unwrap()).unwrap());
    assert!(layer.keys().any(|path| path.contains("libc.so")), "no libc: {:?}", layer.keys());
    assert!(layer.contains_key("etc/ssl/certs/ca-certificates.crt"));
    assert!(String::from_utf8_lossy(&layer["etc/passwd"].1).contains(":65532:65532:"));
    assert_eq!(layer["tmp/"].0.mode().unwrap(), 0o1777);
    assert!(layer.values().all(|(header, _)| header.mtime().unwrap() == 0));
}

#[tokio::test]
async fn every_folder_comes_before_what_is_in_it() {
    let layout = Layout::new().with_ca_certificates().unwrap();
    let layer = layout.layer().unwrap();
    let mut archive = tar::Archive::new(layer.as_slice());
    let paths: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
    let position = |wanted: &str| paths.iter().position(|path| path == Path::new(wanted)).unwrap();
    assert!(position("etc") < position("etc/ssl"));
    assert!(position("etc/ssl") < position("etc/ssl/certs"));
    assert!(position("etc/ssl/certs") < position("etc/ssl/certs/ca-certificates.crt"));
}

#[tokio::test]
async fn the_same_input_gives_the_same_bytes() {
    let (one, other) = (sample().await, sample().await);
    assert!(one.archive == other.archive);
    assert_eq!(one.digest(), other.digest());
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let error =
        Layout::new().with_binary("none", Path::new("/no/such/binary")).await.unwrap_err().to_string();
    assert_eq!(error, "/no/such/binary can't be read");
}

#[test]
fn libraries_are_read_from_each_kind_of_line() {
    let listing = "\tlinux-vdso.so.1 (0x00007f)\n\
        \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
        \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
    let libraries = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
    assert_eq!(parse_ldd(listing).unwrap(), libraries);
    let error = parse_ldd("\tlibfoo.so.1 => not found\n").unwrap_err().to_string();
    assert_eq!(error, "a shared library is missing: libfoo.so.1 => not found");
}
