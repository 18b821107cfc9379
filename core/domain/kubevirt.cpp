// SPDX-License-Identifier: Apache-2.0
#include "core/domain/kubevirt.h"

#include "core/base/text.h"
#include "core/domain/refusal.h"
#include "core/domain/yaml_text.h"
#include "core/mapping/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <set>
#include <utility>

namespace vfskit::domain {
namespace {

// RFC 1123, as Kubernetes applies it: a volume's name is a label, an object's a subdomain.
constexpr std::size_t max_label = 63;
constexpr std::size_t max_subdomain = 253;

constexpr std::array<std::pair<std::string_view, KubevirtSource>, 5> sources{
    {{"pvc", KubevirtSource::persistent_volume_claim},
     {"configmap", KubevirtSource::config_map},
     {"secret", KubevirtSource::secret},
     {"downwardapi", KubevirtSource::downward_api},
     {"serviceaccount", KubevirtSource::service_account}}};

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_label(std::string_view text) {
    return !text.empty() && text.size() <= max_label && is_alphanumeric(text.front()) &&
           is_alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
               return is_alphanumeric(c) || c == '-';
           });
}

bool is_subdomain(std::string_view text) {
    const std::vector<std::string_view> labels = base::split(text, '.');
    return text.size() <= max_subdomain && std::all_of(labels.begin(), labels.end(), is_label);
}

Result<void> check(const KubevirtShare& share) {
    if (!is_label(share.name) || share.name.size() > mapping::max_tag_bytes) {
        return refuse("name",
                      fmt::format(
                          "'{}' cannot name a volume and be a tag: lower-case letters, digits and "
                          "inner hyphens, at most {}",
                          share.name,
                          mapping::max_tag_bytes))
            .with_remedy("Choose another name for the share");
    }
    const bool needs_object = share.source != KubevirtSource::downward_api;
    if (needs_object && !is_subdomain(share.object)) {
        return refuse("object",
                      fmt::format("'{}' is not the name of a Kubernetes object", share.object))
            .with_remedy(
                fmt::format("Name the {} that the share comes from", to_string(share.source)));
    }
    if (!needs_object && !share.object.empty()) {
        return refuse("object", "The downward API is no object and has no name")
            .with_remedy("Leave the name out");
    }
    if (needs_object && !share.fields.empty()) {
        return refuse("fields", "Fields belong to the downward API only")
            .with_remedy("Leave them out");
    }
    for (const DownwardField& field : share.fields) {
        if (field.path.empty() || field.path.front() == '/' ||
            field.path.find("..") != std::string::npos || field.field_path.empty()) {
            return refuse("fields",
                          fmt::format("'{}' of '{}' is not a relative file and a field of the pod",
                                      field.path,
                                      field.field_path))
                .with_remedy("Write it like labels=metadata.labels");
        }
    }
    return {};
}

std::string downward_items(const KubevirtShare& share) {
    std::vector<DownwardField> fields = share.fields;
    if (fields.empty()) {
        fields.push_back({"labels", "metadata.labels"});
    }
    std::string result;
    for (const DownwardField& field : fields) {
        result += fmt::format("          - path: {}\n"
                              "            fieldRef:\n"
                              "              fieldPath: {}\n",
                              yaml_quote(field.path),
                              yaml_quote(field.field_path));
    }
    return result;
}

std::string volume_source(const KubevirtShare& share) {
    switch (share.source) {
    case KubevirtSource::persistent_volume_claim:
        return fmt::format("      persistentVolumeClaim:\n        claimName: {}\n",
                           yaml_quote(share.object));
    case KubevirtSource::config_map:
        return fmt::format("      configMap:\n        name: {}\n", yaml_quote(share.object));
    case KubevirtSource::secret:
        return fmt::format("      secret:\n        secretName: {}\n", yaml_quote(share.object));
    case KubevirtSource::downward_api:
        return "      downwardAPI:\n        fields:\n" + downward_items(share);
    case KubevirtSource::service_account:
        return fmt::format("      serviceAccount:\n        serviceAccountName: {}\n",
                           yaml_quote(share.object));
    }
    return {};
}

Result<void> check_all(std::string_view instance_name, std::span<const KubevirtShare> shares) {
    if (!is_subdomain(instance_name)) {
        return refuse("name", fmt::format("'{}' is not a Kubernetes name", instance_name))
            .with_remedy("Use lower-case letters, digits, inner hyphens and dots");
    }
    if (shares.empty()) {
        return refuse("shares", "There is no share to add").with_remedy("Name at least one");
    }
    std::set<std::string_view> names;
    for (const KubevirtShare& share : shares) {
        VFSKIT_TRY(check(share));
        if (!names.insert(share.name).second) {
            return refuse("name", fmt::format("The share '{}' is given twice", share.name))
                .with_remedy("Give each a name of its own");
        }
    }
    return {};
}

} // namespace

std::string_view to_string(KubevirtSource value) {
    for (const auto& [word, source] : sources) {
        if (source == value) {
            return word;
        }
    }
    return {};
}

Result<KubevirtSource> parse_kubevirt_source(std::string_view word) {
    std::vector<std::string_view> words;
    for (const auto& [candidate, source] : sources) {
        if (candidate == word) {
            return source;
        }
        words.push_back(candidate);
    }
    const auto near = base::nearest(word, words);
    return Error{EINVAL, fmt::format("'{}' is not a source of a KubeVirt share", word)}.with_remedy(
        near ? fmt::format("Did you mean '{}'?", *near)
             : fmt::format("Use one of: {}", fmt::join(words, ", ")));
}

Result<std::string> kubevirt_instance(std::string_view instance_name,
                                      std::span<const KubevirtShare> shares) {
    VFSKIT_TRY(check_all(instance_name, shares));
    std::string filesystems;
    std::string volumes;
    for (const KubevirtShare& share : shares) {
        filesystems +=
            fmt::format("        - name: {}\n          virtiofs: {{}}\n", yaml_quote(share.name));
        volumes += fmt::format("    - name: {}\n{}", yaml_quote(share.name), volume_source(share));
    }
    return fmt::format("apiVersion: kubevirt.io/v1\n"
                       "kind: VirtualMachineInstance\n"
                       "metadata:\n"
                       "  name: {}\n"
                       "spec:\n"
                       "  domain:\n"
                       "    devices:\n"
                       "      filesystems:\n"
                       "{}"
                       "  volumes:\n"
                       "{}",
                       yaml_quote(instance_name),
                       filesystems,
                       volumes);
}

} // namespace vfskit::domain
