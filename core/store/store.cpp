// SPDX-License-Identifier: Apache-2.0
#include "core/store/store.h"

#include "core/store/etcd_store.h"
#include "core/store/pve_store.h"
#include "core/store/yaml_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::store {

namespace {

constexpr std::string_view yaml_scheme = "yaml:";
constexpr std::string_view pve_scheme = "pve:";
constexpr std::string_view known_urls = "Use yaml:/path/to/mappings.yaml, pve:/etc/pve, "
                                        "etcd://host:2379/prefix, or the path of a .yaml "
                                        "file";

Error unusable_url(std::string_view url, std::string_view why) {
    return Error{EINVAL, fmt::format("Store '{}' {}", url, why)}.with_remedy(
        std::string{known_urls});
}

Result<std::unique_ptr<MappingStore>> open_yaml(std::string_view url, std::string path) {
    if (path.empty() || path.back() == '/') {
        return unusable_url(url, "names no file");
    }
    return std::unique_ptr<MappingStore>{std::make_unique<YamlStore>(std::move(path))};
}

} // namespace

const mapping::DirectoryMapping* Snapshot::find(std::string_view id) const {
    const auto found = std::find_if(
        mappings.begin(), mappings.end(), [&](const auto& mapping) { return mapping.id == id; });
    return found == mappings.end() ? nullptr : &*found;
}

Result<Revision> update(MappingStore& store,
                        const std::function<Result<std::vector<Edit>>(const Snapshot&)>& decide,
                        int max_attempts) {
    for (int attempt = 0; attempt < max_attempts; ++attempt) {
        VFSKIT_TRY_ASSIGN(const Snapshot snapshot, store.snapshot());
        VFSKIT_TRY_ASSIGN(const std::vector<Edit> edits, decide(snapshot));
        if (edits.empty()) {
            return snapshot.revision;
        }
        auto committed = store.commit(snapshot.revision, edits);
        if (committed || committed.error().code() != ESTALE) {
            return committed;
        }
    }
    return Error{EAGAIN,
                 fmt::format("Store '{}' was changed by others {} times while this change was made",
                             store.url(),
                             max_attempts)}
        .with_remedy("Try again, or find out who keeps writing to it");
}

Result<std::unique_ptr<MappingStore>> open_store(std::string_view url) {
    if (const auto root = pve_root(url)) {
        return open_pve_store(*root);
    }
    if (is_etcd_url(url)) {
        return open_etcd_store(url);
    }
    if (url.starts_with(yaml_scheme) || url.ends_with(".yaml") || url.ends_with(".yml")) {
        return open_yaml(url, yaml_path(url));
    }
    return unusable_url(url, "is of no known kind");
}

std::optional<std::string> pve_root(std::string_view url) {
    if (!url.starts_with(pve_scheme)) {
        return std::nullopt;
    }
    std::string root{url.substr(pve_scheme.size())};
    while (root.size() > 1 && root.back() == '/') {
        root.pop_back();
    }
    return root;
}

std::string yaml_path(std::string_view url) {
    return std::string{url.starts_with(yaml_scheme) ? url.substr(yaml_scheme.size()) : url};
}

std::string
choose_store_url(std::string_view option, std::string_view environment, bool pmxcfs_is_mounted) {
    if (!option.empty()) {
        return std::string{option};
    }
    if (!environment.empty()) {
        return std::string{environment};
    }
    return pmxcfs_is_mounted ? "pve:/etc/pve" : "yaml:/etc/vfskit/mappings.yaml";
}

bool is_pmxcfs(const std::string& root) {
    struct stat info {};
    return ::lstat((root + "/local").c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

} // namespace vfskit::store
