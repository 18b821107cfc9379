// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/json.h"

#include "core/base/text.h"
#include "vfsctl/output/output.h"

#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

using Json = nlohmann::ordered_json;

namespace {

void append_string(std::string& out, std::string_view text) {
    if (base::is_valid_utf8(text)) {
        base::append_json_string(out, text);
    } else {
        base::append_json_string(out, to_utf8(text));
    }
}

/// What to_json() makes of `mapping`, inside an array inside the document.
void append_mapping(std::string& out, const mapping::DirectoryMapping& mapping) {
    const auto begin_key = [&out](std::string_view key) {
        out += ",\n      ";
        append_string(out, key);
        out += ": ";
    };
    out += "    {\n      \"id\": ";
    append_string(out, mapping.id);
    begin_key("paths");
    std::string_view separator = "[\n";
    for (const auto& [node, path] : mapping.paths) {
        out += separator;
        out += "        {\n          \"node\": ";
        append_string(out, node);
        out += ",\n          \"path\": ";
        append_string(out, path);
        out += "\n        }";
        separator = ",\n";
    }
    out += mapping.paths.empty() ? "[]" : "\n      ]";
    if (mapping.description) {
        begin_key("description");
        append_string(out, *mapping.description);
    }
    if (mapping.live_migration_method) {
        begin_key("live-migration-method");
        append_string(out, to_string(*mapping.live_migration_method));
    }
    if (mapping.path_relation) {
        begin_key("path-relation");
        append_string(out, to_string(*mapping.path_relation));
    }
    out += "\n    }";
}

} // namespace

std::string to_text(const Json& document) {
    // Texts come through to_utf8(); the handler only keeps a forgotten one from ending the program.
    return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json make_document(std::string_view kind) {
    return {{"kind", kind}, {"version", 1}};
}

Json to_json(const mapping::DirectoryMapping& mapping) {
    Json json{{"id", to_utf8(mapping.id)}, {"paths", Json::array()}};
    for (const auto& [node, path] : mapping.paths) {
        json["paths"].push_back({{"node", to_utf8(node)}, {"path", to_utf8(path)}});
    }
    if (mapping.description) {
        json["description"] = to_utf8(*mapping.description);
    }
    if (mapping.live_migration_method) {
        json["live-migration-method"] = to_string(*mapping.live_migration_method);
    }
    if (mapping.path_relation) {
        json["path-relation"] = to_string(*mapping.path_relation);
    }
    return json;
}

Json to_json(const Place& place) {
    Json json = Json::object();
    if (!place.file.empty()) {
        json["file"] = to_utf8(place.file);
    }
    if (place.line != 0) {
        json["line"] = place.line;
    }
    if (!place.key.empty()) {
        json["key"] = to_utf8(place.key);
    }
    return json;
}

Json to_json(const std::vector<store::Notice>& notices) {
    Json json = Json::array();
    for (const auto& notice : notices) {
        auto entry = to_json(notice.place);
        entry["message"] = to_utf8(notice.message);
        json.push_back(std::move(entry));
    }
    return json;
}

void print_with_mappings(Output& output,
                         const Json& document,
                         std::span<const mapping::DirectoryMapping* const> mappings) {
    constexpr std::size_t flush_at = std::size_t{64} << 10U;
    constexpr std::string_view empty = "\n  \"mappings\": []";
    const auto text = to_text(document);
    const auto found = text.find(empty);
    if (found == std::string::npos || mappings.empty()) {
        output.print(text + "\n");
        return;
    }
    const auto inside = found + empty.size() - 1;
    auto out = text.substr(0, inside);
    std::string_view separator = "\n";
    for (const auto* mapping : mappings) {
        out += separator;
        append_mapping(out, *mapping);
        separator = ",\n";
        if (out.size() >= flush_at) {
            output.print(out);
            out.clear();
        }
    }
    output.print(out + "\n  " + text.substr(inside) + "\n");
}

Json error_document(const Error& error, ExitCode code) {
    auto document = make_document("error");
    document["exit-status"] = static_cast<int>(code);
    document.update(to_json(error.place()));
    document["message"] = to_utf8(error.message());
    if (!error.remedy().empty()) {
        document["remedy"] = to_utf8(error.remedy());
    }
    return document;
}

} // namespace vfskit::vfsctl
