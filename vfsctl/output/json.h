// SPDX-License-Identifier: Apache-2.0
// Every JSON document that vfsctl prints is built here, and has its schema in schemas/. A document
// opens with "kind" (which schema) and "version" (raised when a reader of the old one would break).
// Keys are kebab-case, as in the store files; texts that are not UTF-8 are read as Latin-1.
#pragma once

#include "core/base/result.h"
#include "core/mapping/mapping.h"
#include "core/store/store.h"
#include "vfsctl/exit_code.h"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

class Output;

/// Two-space indent, no final line feed.
std::string to_text(const nlohmann::ordered_json& document);

/// {"kind": kind, "version": 1}
nlohmann::ordered_json make_document(std::string_view kind);

nlohmann::ordered_json to_json(const mapping::DirectoryMapping& mapping);
nlohmann::ordered_json to_json(const Place& place);
nlohmann::ordered_json to_json(const std::vector<store::Notice>& notices);

/// Prints `document`, in which `key` is an empty array, with `count` items in that array, each made
/// and written before the next one: ten thousand mappings as one value take 60 MiB.
void print_with_items(Output& output,
                      const nlohmann::ordered_json& document,
                      std::string_view key,
                      std::size_t count,
                      const std::function<nlohmann::ordered_json(std::size_t)>& item);

nlohmann::ordered_json error_document(const Error& error, ExitCode code);

} // namespace vfskit::vfsctl
