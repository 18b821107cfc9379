// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"
#include "core/mapping/mapping.h"
#include "core/store/etcd_store.h"
#include "core/store/facts_store.h"
#include "core/store/pve_files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace vfskit::store {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view extension = ".json";

Result<void> check_size(std::string_view document, std::string_view place) {
    if (document.size() <= max_facts_bytes) {
        return {};
    }
    return Error{EFBIG,
                 fmt::format("The facts of this node take {} bytes, {} holds at most {} per node",
                             document.size(),
                             place,
                             max_facts_bytes)}
        .with_remedy("Let checks ask this node over ssh instead");
}

/// Files in one directory.
class FactsDirectory : public FactsStore {
public:
    explicit FactsDirectory(std::string path) : path_{std::move(path)} {}

    [[nodiscard]] std::string place() const override {
        return fmt::format("directory '{}'", path_);
    }

    Result<void> publish(std::string_view node,
                         std::string_view document,
                         std::chrono::seconds /*lifetime*/) override {
        VFSKIT_TRY(mapping::validate_node(node, mapping::Rules::pve));
        VFSKIT_TRY(check_size(document, place()));
        VFSKIT_TRY(make_directory());
        return write(file_of(node), document);
    }

    Result<std::optional<std::string>> read(std::string_view node) override {
        VFSKIT_TRY(mapping::validate_node(node, mapping::Rules::pve));
        auto text = base::read_file(file_of(node), max_facts_bytes);
        if (!text && text.error().code() == ENOENT) {
            return std::optional<std::string>{};
        }
        if (!text) {
            return std::move(text).error();
        }
        return std::optional{*std::move(text)};
    }

    Result<std::vector<PublishedFacts>> read_all() override {
        std::vector<PublishedFacts> all;
        std::error_code failed;
        fs::directory_iterator entries{path_, failed};
        if (failed && failed != std::errc::no_such_file_or_directory) {
            return Error::from_errno(failed.value(), fmt::format("Cannot list '{}'", path_));
        }
        for (; !failed && entries != fs::directory_iterator{}; entries.increment(failed)) {
            const auto name = entries->path().filename().string();
            const auto node = name.substr(0, name.rfind('.'));
            if (!name.ends_with(extension) || !mapping::validate_node(node, mapping::Rules::pve)) {
                continue;
            }
            VFSKIT_TRY_ASSIGN(auto document, read(node));
            if (document) { // else it was withdrawn while we looked
                all.push_back({.node = node, .document = *std::move(document)});
            }
        }
        std::ranges::sort(all, {}, &PublishedFacts::node);
        return all;
    }

    Result<void> withdraw(std::string_view node) override {
        VFSKIT_TRY(mapping::validate_node(node, mapping::Rules::pve));
        const auto file = file_of(node);
        if (::unlink(file.c_str()) != 0 && errno != ENOENT) {
            return Error::from_errno(errno, fmt::format("Cannot remove '{}'", file));
        }
        return {};
    }

protected:
    virtual Result<void> write(const std::string& file, std::string_view document) {
        // A second publisher of this node must not write into the same temporary file.
        return base::replace_file(
            file, document, {.mode = 0644, .temp_suffix = fmt::format(".{}.tmp", ::getpid())});
    }

private:
    [[nodiscard]] std::string file_of(std::string_view node) const {
        return fmt::format("{}/{}{}", path_, node, extension);
    }

    [[nodiscard]] Result<void> make_directory() const {
        std::error_code failed;
        fs::create_directories(path_, failed);
        if (failed) {
            return Error::from_errno(failed.value(), fmt::format("Cannot create '{}'", path_));
        }
        return {};
    }

    std::string path_;
};

/// Files below pmxcfs, written as pmxcfs wants it. They need no lock: nobody else writes them.
class PveFacts final : public FactsDirectory {
public:
    explicit PveFacts(const std::string& root)
        : FactsDirectory{root + "/mapping/vfskit-facts"}, paths_{root} {}

    Result<void> publish(std::string_view node,
                         std::string_view document,
                         std::chrono::seconds lifetime) override {
        VFSKIT_TRY(check_pve_root(paths_.root));
        if (!has_quorum(paths_.root)) {
            return Error{EACCES, "The cluster has no quorum, so nothing can be published"}
                .with_remedy("Try again once 'pvecm status' says that it is quorate");
        }
        return FactsDirectory::publish(node, document, lifetime);
    }

protected:
    Result<void> write(const std::string& file, std::string_view document) override {
        return write_pve_file(paths_, file, std::string{document});
    }

private:
    PvePaths paths_;
};

} // namespace

std::unique_ptr<FactsStore> open_facts_directory(std::string path) {
    return std::make_unique<FactsDirectory>(std::move(path));
}

Result<std::unique_ptr<FactsStore>> open_facts_store(std::string_view store_url,
                                                     std::string_view directory) {
    // Who does not know the mappings' store does not know its facts either.
    VFSKIT_TRY_ASSIGN(const auto mappings, open_store(store_url));
    if (const auto root = pve_root(store_url)) {
        return std::unique_ptr<FactsStore>{std::make_unique<PveFacts>(*root)};
    }
    if (is_etcd_url(store_url)) {
        return open_etcd_facts(store_url);
    }
    return open_facts_directory(std::string{directory});
}

} // namespace vfskit::store
