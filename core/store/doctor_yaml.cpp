// SPDX-License-Identifier: Apache-2.0
// A node that stands twice below one mapping of a YAML file: no reader takes such a file.
#include "core/base/text.h"
#include "core/store/doctor_findings.h"
#include "core/store/yaml_reader.h"
#include "core/store/yaml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace vfskit::store {

namespace {

std::string_view indentation_at(std::string_view text, std::size_t begin) {
    const auto line = text.substr(begin);
    return line.substr(0, std::min(line.find_first_not_of(' '), line.size()));
}

class DoubleNodes {
public:
    DoubleNodes(std::string_view text, const std::string& file_name)
        : text_{text}, file_name_{file_name} {}

    std::optional<MendedYaml> mend() {
        const auto reading = read_yaml_quickly(text_, [this](const YamlMapping& found) {
            examine(found);
            return true;
        });
        if (!reading.file || findings_.empty()) {
            return std::nullopt;
        }
        return MendedYaml{apply(), std::move(findings_)};
    }

private:
    struct Patch {
        Span replaced;
        std::string text;
    };

    void examine(const YamlMapping& found) {
        std::map<std::string_view, std::string_view> first;
        for (const auto& entry : found.nodes->entries) {
            const auto [known, is_first] = first.emplace(entry.key, entry.text);
            if (is_first) {
                continue;
            }
            const bool is_same = known->second == entry.text;
            report(found, entry, known->second, is_same);
            const auto comment =
                fmt::format("# Taken out by 'vfsctl mapping doctor': node '{}' stands above with "
                            "{} path",
                            entry.key,
                            is_same ? "the same" : "another");
            if (found.nodes->is_flow) {
                const auto begin =
                    found.is_flow ? found.lines.begin : found.nodes->field.lines.begin;
                take_out_of_flow(entry, begin, comment);
            } else {
                comment_out(entry.lines, comment);
            }
        }
    }

    void
    report(const YamlMapping& found, const YamlField& entry, std::string_view first, bool is_same) {
        findings_.push_back(Finding{
            "VFS-M003",
            Severity::error,
            std::string{found.id},
            Place{file_name_, entry.line, std::string{entry.key}},
            fmt::format("Mapping '{}' has node '{}' more than once{}, so nothing in the file can "
                        "be read",
                        found.id,
                        entry.key,
                        is_same ? ", with the same path" : " with different paths"),
            fmt::format("Remove the line that is wrong, or run 'vfsctl mapping doctor --fix', "
                        "which keeps the first, '{}', and makes the other a comment",
                        first),
            true});
    }

    void comment_out(const Span& lines, const std::string& comment) {
        const auto indent = indentation_at(text_, lines.begin);
        const auto eol = line_end(lines.begin);
        std::string replacement = fmt::format("{}{}{}", indent, comment, eol);
        auto rest = lines.in(text_);
        while (!rest.empty()) {
            const auto line = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
            replacement += fmt::format("#{}", line);
            rest.remove_prefix(line.size());
        }
        patches_.push_back({lines, std::move(replacement)});
    }

    /// `begin`: of the line where the key with the flow mapping stands; the comments go above it.
    void take_out_of_flow(const YamlField& entry, std::size_t begin, const std::string& comment) {
        const auto indent = indentation_at(text_, begin);
        const auto eol = line_end(begin);
        patches_.push_back({{begin, begin}, fmt::format("{}{}{}", indent, comment, eol)});
        // Encoded anew, since it may go over several lines and have comments.
        patches_.push_back({{begin, begin},
                            fmt::format("{}#   {}: {}{}",
                                        indent,
                                        entry.key,
                                        encode_scalar(entry.text, QuoteStyle::plain, false),
                                        eol)});
        auto end = entry.entry.end;
        while (end < text_.size() && text_[end] == ' ') {
            ++end;
        }
        // Without a comma behind it the one before it stays, which a flow mapping may end with.
        const bool has_comma = end < text_.size() && text_[end] == ',';
        patches_.push_back({{entry.entry.begin, has_comma ? end + 1 : entry.entry.end}, ""});
    }

    [[nodiscard]] std::string_view line_end(std::size_t begin) const {
        const auto feed = text_.find('\n', begin);
        const bool has_cr = feed != std::string_view::npos && feed > 0 && text_[feed - 1] == '\r';
        return has_cr ? "\r\n" : "\n";
    }

    std::string apply() {
        std::stable_sort(patches_.begin(), patches_.end(), [](const Patch& a, const Patch& b) {
            return a.replaced.begin < b.replaced.begin;
        });
        std::string result;
        std::size_t done = 0;
        for (const auto& patch : patches_) {
            result += text_.substr(done, patch.replaced.begin - done);
            result += patch.text;
            done = patch.replaced.end;
        }
        result += text_.substr(done);
        return result;
    }

    std::string_view text_;
    const std::string& file_name_;
    std::vector<Finding> findings_;
    std::vector<Patch> patches_;
};

} // namespace

std::optional<MendedYaml> mend_double_nodes(std::string_view text, const std::string& file_name) {
    if (!base::is_valid_utf8(text)) {
        return std::nullopt;
    }
    return DoubleNodes{text, file_name}.mend();
}

} // namespace vfskit::store
