// SPDX-License-Identifier: Apache-2.0
// Shares of a KubeVirt virtual machine. KubeVirt runs virtiofsd itself: the share is one of its
// volumes.
#pragma once

#include "core/base/result.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::domain {

enum class KubevirtSource {
    persistent_volume_claim,
    config_map,
    secret,
    downward_api,
    service_account,
};

std::string_view
to_string(KubevirtSource value); ///< pvc, configmap, secret, downwardapi, serviceaccount
Result<KubevirtSource> parse_kubevirt_source(std::string_view word);

/// A field of the pod for the downward API: `path` is the file, `field_path` e.g.
/// "metadata.labels".
struct DownwardField {
    std::string path;
    std::string field_path;
};

struct KubevirtShare {
    std::string
        name; ///< of filesystem and volume, and the tag in the guest: a DNS label, at most 36 bytes
    KubevirtSource source = KubevirtSource::persistent_volume_claim;
    std::string object; ///< the claim's, map's, secret's or account's name; unused by downward_api
    std::vector<DownwardField> fields; ///< downward_api only; empty: metadata.labels
};

/// A VirtualMachineInstance fragment (YAML) to merge into a manifest: filesystems and volumes.
Result<std::string> kubevirt_instance(std::string_view instance_name,
                                      std::span<const KubevirtShare> shares);

} // namespace vfskit::domain
