//! The patch, made of single operations with explicit places: nothing of the pod is replaced but what is ours, and fields that this
//! program doesn't know survive.

use std::collections::BTreeMap;

use json_patch::{AddOperation, Patch, PatchOperation, ReplaceOperation, jsonptr::PointerBuf};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use telegram_webhook_crds::TelegramWebhook;

use super::{
    DEFAULT_CONTAINER_ANNOTATION, Images, drain,
    pod::PodSpec,
    position,
    sidecar::{self, Surroundings},
};
use crate::place::{INJECTED_ANNOTATION, Injected};

/// The operations that lead from `pod` to an injected pod.
pub fn patch(
    (pod, spec): (&DynamicObject, &PodSpec),
    matching: &[&TelegramWebhook],
    surroundings: &Surroundings<'_>,
    images: &Images,
) -> Patch {
    let mut operations = Vec::new();
    patch_annotations(pod, spec, surroundings.injected, &mut operations);
    let container = sidecar::container(&images.injected, surroundings);
    patch_container(pod, spec, container, images, &mut operations);
    if surroundings.wait_seconds.is_some() {
        drain::hold_containers(pod, spec, &mut operations);
    }
    patch_volumes(pod, sidecar::volumes(matching, surroundings.injected), &mut operations);
    Patch(operations)
}

fn patch_annotations(
    pod: &DynamicObject,
    spec: &PodSpec,
    injected: &Injected,
    operations: &mut Vec<PatchOperation>,
) {
    let present = pod.metadata.annotations.as_ref();
    let mut missing = BTreeMap::from([(INJECTED_ANNOTATION, injected.annotation())]);
    if let Some(app) = spec.containers.first() {
        let chosen = present.and_then(|annotations| annotations.get(DEFAULT_CONTAINER_ANNOTATION));
        missing.insert(DEFAULT_CONTAINER_ANNOTATION, chosen.unwrap_or(&app.name).clone());
    }
    let Some(present) = present else {
        operations.push(add(&["metadata", "annotations"], json!(missing)));
        return;
    };
    for (key, value) in missing {
        // "add" replaces the value of a key that is there already
        if present.get(key) != Some(&value) {
            operations.push(add(&["metadata", "annotations", key], json!(value)));
        }
    }
}

/// First in the list: started before, and stopped after, everything else in the pod.
fn patch_container(
    pod: &DynamicObject,
    spec: &PodSpec,
    mut wanted: Value,
    images: &Images,
    operations: &mut Vec<PatchOperation>,
) {
    let present = &pod.data["spec"]["initContainers"];
    match position(spec) {
        Some(index) => {
            keep_what_others_decide(&mut wanted, &present[index], images);
            if present[index] != wanted {
                operations.push(replace(&["spec", "initContainers", &index.to_string()], wanted));
            }
        }
        None if present.is_array() => operations.push(add(&["spec", "initContainers", "0"], wanted)),
        None => operations.push(add(&["spec", "initContainers"], json!([wanted]))),
    }
}

/// Admission plugins and other webhooks come after us, and we are asked again: when an image is pulled (AlwaysPullImages), what
/// the container may use (LimitRange) and where the image comes from (mirrors, digests) is for them to say. What the sidecar does
/// is not.
fn keep_what_others_decide(wanted: &mut Value, present: &Value, images: &Images) {
    for field in ["imagePullPolicy", "resources", "resizePolicy"] {
        if let Some(value) = present.get(field) {
            wanted[field] = value.clone();
        }
    }
    if let Some(image) = present["image"].as_str().filter(|image| images.allow(image)) {
        wanted["image"] = json!(image);
    }
}

fn patch_volumes(pod: &DynamicObject, wanted: Vec<Value>, operations: &mut Vec<PatchOperation>) {
    let Some(present) = pod.data["spec"]["volumes"].as_array() else {
        operations.push(add(&["spec", "volumes"], json!(wanted)));
        return;
    };
    for volume in wanted {
        match present.iter().position(|other| other["name"] == volume["name"]) {
            Some(index) if present.get(index) == Some(&volume) => {}
            Some(index) => operations.push(replace(&["spec", "volumes", &index.to_string()], volume)),
            None => operations.push(add(&["spec", "volumes", "-"], volume)),
        }
    }
}

pub fn add(path: &[&str], value: Value) -> PatchOperation {
    let path = PointerBuf::from_tokens(path.iter().copied());
    PatchOperation::Add(AddOperation { path, value })
}

fn replace(path: &[&str], value: Value) -> PatchOperation {
    let path = PointerBuf::from_tokens(path.iter().copied());
    PatchOperation::Replace(ReplaceOperation { path, value })
}
