// SPDX-License-Identifier: Apache-2.0
// Properties over random texts. The seeds are fixed: a failure prints what it needs to be repeated.
#include "core/base/text.h"
#include "core/store/yaml_content.h"
#include "core/store/yaml_edit.h"
#include "core/store/yaml_text.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <random>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;

class Random {
public:
    explicit Random(unsigned seed) : engine_{seed} {}
    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>{0, limit - 1}(engine_);
    }
    bool chance(std::size_t percent) { return below(100) < percent; }
    template <class Choices>
    std::string one_of(const Choices& choices) {
        return std::string{choices[below(choices.size())]};
    }

private:
    std::mt19937 engine_;
};

constexpr std::array<std::string_view, 57> pieces{"a",
                                                  "b",
                                                  "yes",
                                                  "no",
                                                  "null",
                                                  "~",
                                                  "true",
                                                  "1",
                                                  "0x1f",
                                                  "1e3",
                                                  "1:30",
                                                  ": ",
                                                  ":",
                                                  " #",
                                                  "#",
                                                  "- ",
                                                  "-",
                                                  "? ",
                                                  "?",
                                                  "&x",
                                                  "*x",
                                                  "!t",
                                                  "|",
                                                  ">",
                                                  "%",
                                                  "@",
                                                  "`",
                                                  "'",
                                                  "''",
                                                  "\"",
                                                  "\\",
                                                  "\\n",
                                                  "{",
                                                  "}",
                                                  "[",
                                                  "]",
                                                  ",",
                                                  ", ",
                                                  " ",
                                                  "  ",
                                                  "\t",
                                                  "=",
                                                  "<<",
                                                  "---",
                                                  "...",
                                                  "/srv",
                                                  "\xc3\xa4",
                                                  "\xe2\x82\xac",
                                                  "\xf0\x9f\x8e\x9e",
                                                  "\xc2\x85",
                                                  "\xe2\x80\xa8",
                                                  "\xef\xbb\xbf",
                                                  "\xc2\xa0",
                                                  "\x7f",
                                                  "\x01",
                                                  "\r",
                                                  "\xef\xbf\xbf"};

std::string random_text(Random& random) {
    std::string text;
    const std::size_t count = random.below(8);
    for (std::size_t i = 0; i < count; ++i) {
        text += random.one_of(pieces);
    }
    return text;
}

std::string yaml_cpp_value(const std::string& text) {
    return YAML::Load(text).begin()->second.Scalar();
}

TEST(YamlScalar, AnyTextRoundTripsThroughYamlCpp) {
    Random random{1};
    for (int i = 0; i < 20000; ++i) {
        const auto text = random_text(random);
        const auto style = static_cast<QuoteStyle>(random.below(3));
        const auto block = "key: " + encode_scalar(text, style, false) + " # c\n";
        ASSERT_EQ(yaml_cpp_value(block), text) << block;
        const auto flow = "key: {a: " + encode_scalar(text, style, true) + ", b: c}\n";
        ASSERT_EQ(YAML::Load(flow)["key"]["a"].Scalar(), text) << flow;
    }
}

TEST(YamlScalar, PlainTextIsNoOtherTypeInAnyReader) {
    EXPECT_TRUE(is_plain_safe("Films of 2024 - part 1", false));
    EXPECT_TRUE(is_plain_safe("/srv/my films", false));
    EXPECT_FALSE(is_plain_safe("", false));
    EXPECT_FALSE(is_plain_safe("Yes", false));
    EXPECT_FALSE(is_plain_safe("2024-01-01", false));
    EXPECT_FALSE(is_plain_safe("a: b", false));
    EXPECT_FALSE(is_plain_safe("a:", false));
    EXPECT_FALSE(is_plain_safe("a #b", false));
    EXPECT_FALSE(is_plain_safe("a ", false));
    EXPECT_FALSE(is_plain_safe("#x", false));
    EXPECT_TRUE(is_plain_safe("a,b", false));
    EXPECT_FALSE(is_plain_safe("a,b", true));
}

DirectoryMapping random_mapping(Random& random, const std::string& id) {
    DirectoryMapping mapping;
    mapping.id = id;
    if (random.chance(50)) {
        mapping.description = random_text(random);
    }
    if (random.chance(50)) {
        mapping.live_migration_method = static_cast<mapping::MigrationMethod>(random.below(3));
    }
    if (random.chance(50)) {
        mapping.path_relation = static_cast<mapping::PathRelation>(random.below(2));
    }
    const std::size_t count = 1 + random.below(4);
    const std::size_t first = random.below(4);
    for (std::size_t i = 0; i < count; ++i) {
        mapping.paths.push_back({"n" + std::to_string(first + i), "/x" + random_text(random)});
    }
    return mapping;
}

// Whatever is put comes back, through both readers, after any number of edits.
TEST(YamlEditProperty, WhatIsPutIsReadByBothReaders) {
    Random random{2};
    std::string text =
        "# top\nversion: 1\nmappings:\n  m0: {nodes: {n0: /a, 'n1': \"/b\"}, x: y} # c\n"
        "  m1: # d\n    x: 1\n    nodes: {n2: /a} # e\n\n  # f\n  m2:\n    nodes:\n"
        "      n3: '/a'\n      # g\nend: here\n";
    std::vector<DirectoryMapping> model = read_yaml(text, "m")->mappings;
    for (int i = 0; i < 3000; ++i) {
        const auto id = "m" + std::to_string(random.below(6));
        const auto found = std::find_if(
            model.begin(), model.end(), [&](const auto& mapping) { return mapping.id == id; });
        std::vector<Edit> edits;
        if (random.chance(25)) {
            edits.emplace_back(RemoveMapping{id});
            if (found != model.end()) {
                model.erase(found);
            }
        } else {
            const auto mapping = random_mapping(random, id);
            edits.emplace_back(PutMapping{mapping});
            if (found != model.end()) {
                *found = mapping;
            } else {
                model.push_back(mapping);
            }
        }
        const auto edited = edit_yaml(text, edits, "m");
        ASSERT_TRUE(edited) << edited.error().describe() << "\n" << text;
        const auto full = read_yaml_fully(*edited, "m");
        ASSERT_TRUE(full) << full.error().describe() << "\n" << *edited;
        ASSERT_EQ(full->mappings.size(), model.size()) << *edited;
        ASSERT_NE(edited->find("# top"), std::string::npos);
        ASSERT_TRUE(edited->ends_with("end: here\n")) << *edited;
        text = *edited;
    }
    const auto content = read_yaml_fully(text, "m");
    for (std::size_t i = 0; i < model.size(); ++i) {
        EXPECT_EQ(content->mappings[i].id, model[i].id);
        EXPECT_EQ(content->mappings[i].description, model[i].description);
    }
}

// Files that are nearly right, mutated by pieces of YAML.
std::string random_file(Random& random) {
    constexpr std::array<std::string_view, 5> seeds{
        "version: 1\nmappings:\n  aa:\n    description: d\n    nodes:\n      n1: /a\n      n2: "
        "/b\n",
        "---\nversion: 1\n# c\nx: [1, 2]\nmappings:\n  aa: {nodes: {n1: /a, n2: '/b'}, x: {}}\n",
        "version: 1\r\nmappings:\r\n  aa:\r\n    nodes: {n1: /a,\r\n      n2: /b}\r\n    x: |\r\n  "
        "    t\r\n",
        "version: 1\nmappings:\n    aa:\n     path-relation: replicas # c\n     nodes:\n"
        "                n1: \"/a\\x20b\"\n    bb:\n     x:\n      - y\n     nodes: {n: /c} \n",
        "mappings: {}\nversion: 1"};
    constexpr std::array<std::string_view, 44> mutations{
        " ",  "  ",    "\n",    "\n  ", "\n    ",   "\n      ", "#",      " #",  ": ",
        ":",  ",",     "{",     "}",    "[",        "]",        "'",      "\"",  "\\",
        "- ", "-",     "? ",    "&a ",  "*a",       "!t ",      "|",      ">",   "|-",
        "\t", "\r",    "\r\n",  "~",    "null",     "x: ",      "x: y\n", "%",   "@",
        "`",  "---\n", "...\n", "<<: ", "\xc3\xa4", "\\u00e4",  "=",      "\n\n"};
    std::string text = random.one_of(seeds);
    const std::size_t count = random.below(4);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = random.below(text.size());
        const std::size_t length = random.chance(50) ? 0 : random.below(4);
        text.replace(at, std::min(length, text.size() - at), random.one_of(mutations));
    }
    return text;
}

std::string describe(const YamlContent& content) {
    std::string text;
    for (const auto& mapping : content.mappings) {
        text += mapping.id + " (" + mapping.description.value_or("-") + ")";
        for (const auto& entry : mapping.paths) {
            text += " " + entry.node + "=" + entry.path;
        }
        text += "\n";
    }
    for (const auto& notice : content.notices) {
        text += std::to_string(notice.place.line) + " " + notice.message + "\n";
    }
    return text;
}

bool has_lone_carriage_return(std::string_view text) {
    for (auto at = text.find('\r'); at != std::string_view::npos; at = text.find('\r', at + 1)) {
        if (text.substr(at + 1, 1) != "\n") {
            return true;
        }
    }
    return false;
}

// What the quick reader understands, yaml-cpp understands the same.
TEST(YamlReaders, AgreeOnEveryFileThatTheQuickOneUnderstands) {
    Random random{3};
    int understood = 0;
    for (int i = 0; i < 60000; ++i) {
        const auto text = random_file(random);
        if (!base::is_valid_utf8(text) || has_lone_carriage_return(text)) {
            continue; // refused before either reader sees it
        }
        const auto reading = read_yaml_quickly(
            text, [](const YamlMapping& found) { return make_mapping(found).has_value(); });
        if (!reading.file) {
            continue;
        }
        ++understood;
        const auto quick = read_yaml(text, "m");
        const auto full = read_yaml_fully(text, "m");
        ASSERT_TRUE(full) << full.error().describe() << "\n" << text;
        ASSERT_TRUE(quick) << text;
        ASSERT_EQ(describe(*quick), describe(*full)) << text;
        ASSERT_EQ(quick->mappings, full->mappings) << text;
    }
    EXPECT_GT(understood, 10000);
}

} // namespace
} // namespace vfskit::store
