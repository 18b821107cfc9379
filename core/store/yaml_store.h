// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/file.h"
#include "core/store/store.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace vfskit::store {

/// Larger files are not read. Ten thousand mappings on sixteen nodes are 6 MiB.
inline constexpr std::size_t yaml_max_file_bytes = 64U << 20U;

/// Mappings in a YAML file of the format in docs/mappings-yaml.md. Writers exclude each other by a
/// lock on "<file>.lock" beside the file that a symbolic link leads to, and replace the file whole.
/// A missing file, or one with nothing but comments, is an empty store; the first commit makes it,
/// and its directory if only that is missing.
class YamlStore final : public MappingStore {
public:
    struct Options {
        std::chrono::milliseconds lock_timeout{10000};
        /// How long a change that inotify does not report (network filesystems) may go unseen.
        std::chrono::milliseconds poll_interval{1000};
    };

    explicit YamlStore(std::string path);
    YamlStore(std::string path, Options options);
    ~YamlStore() override;

    [[nodiscard]] std::string url() const override;
    Result<Snapshot> snapshot() override;
    Result<Revision> commit(const Revision& expected, const std::vector<Edit>& edits) override;
    /// commit() of a whole text, for what no edit can say; under the same lock and conditions.
    /// The text is not judged.
    Result<Revision> rewrite(const Revision& expected, std::string text);
    Result<bool> wait_for_change(const Revision& seen, std::chrono::milliseconds timeout) override;

private:
    [[nodiscard]] Result<std::string> read() const;
    Result<base::FileLock> lock() const;
    Result<Revision> commit_locked(const Revision& expected, const std::vector<Edit>& edits);
    /// Reads the file into seen_text_, unless it is there already; EBADMSG as snapshot().
    Result<void> see_current_text();
    Result<Revision> write(std::string edited);
    const Revision& revision_of(std::string text);

    std::string path_;
    Options options_;
    // The content that was read or written last and its revision: a commit right after a snapshot
    // need not hash the same bytes again.
    std::string seen_text_;
    Revision seen_revision_;
};

} // namespace vfskit::store
