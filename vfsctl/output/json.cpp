// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/json.h"

#include "vfsctl/output/output.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

using Json = nlohmann::ordered_json;

namespace {

std::string indented(std::string_view text, std::size_t columns) {
    const std::string indent(columns, ' ');
    std::string result = indent;
    for (const char c : text) {
        result += c;
        if (c == '\n') {
            result += indent;
        }
    }
    return result;
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

void print_with_items(Output& output,
                      const Json& document,
                      std::string_view key,
                      std::size_t count,
                      const std::function<Json(std::size_t)>& item) {
    const auto text = to_text(document);
    const auto empty = fmt::format("\n  \"{}\": []", key);
    const auto found = text.find(empty);
    if (found == std::string::npos || count == 0) {
        output.print(text + "\n");
        return;
    }
    const auto inside = found + empty.size() - 1;
    output.print(std::string_view{text}.substr(0, inside));
    for (std::size_t i = 0; i < count; ++i) {
        output.print((i == 0 ? "\n" : ",\n") + indented(to_text(item(i)), 4));
    }
    output.print("\n  " + text.substr(inside) + "\n");
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
