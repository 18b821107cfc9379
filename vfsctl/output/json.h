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

#include <span>
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

/// Prints `document`, in which "mappings" is an empty array, with these in that array, each written
/// as to_text(to_json()) would. Without a JSON value for each: ten thousand mappings take a
/// quarter of a second and 60 MiB as values.
void print_with_mappings(Output& output,
                         const nlohmann::ordered_json& document,
                         std::span<const mapping::DirectoryMapping* const> mappings);

nlohmann::ordered_json error_document(const Error& error, ExitCode code);

} // namespace vfskit::vfsctl
