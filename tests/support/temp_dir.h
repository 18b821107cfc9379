// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vfskit::test {

/// A private directory under $TMPDIR (or /tmp, or where it is told), removed with everything in it.
class TempDir {
public:
    TempDir() : TempDir{std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp"} {}
    explicit TempDir(const std::string& base) : root_{base + "/vfskit-test-XXXXXX"} {
        if (::mkdtemp(root_.data()) == nullptr) {
            throw std::runtime_error("cannot create " + root_);
        }
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }

    [[nodiscard]] const std::string& root() const { return root_; }
    [[nodiscard]] std::string path(std::string_view name) const {
        return root_ + "/" + std::string{name};
    }
    void write(std::string_view name, std::string_view content) const {
        std::ofstream file{path(name), std::ios::binary};
        file << content;
    }
    [[nodiscard]] std::string read(std::string_view name) const {
        const std::ifstream file{path(name), std::ios::binary};
        std::ostringstream content;
        content << file.rdbuf();
        return content.str();
    }

private:
    std::string root_;
};

} // namespace vfskit::test
