// SPDX-License-Identifier: Apache-2.0
// The line grammar of Proxmox VE's section config as PVE::Mapping::Dir reads it, and an editor that
// touches only the lines it is asked to.
//
//   file     = { comment / empty / section / junk }
//   comment  = WS* "#" …       anywhere, also inside a section
//   header   = one word in column 0
//   property = WS+ KEY [ WS+ VALUE ], VALUE without blanks at its ends
//   a section ends at an empty line, at the one-character line "0" (false in Perl) or at the end.
//
// Whatever else stands in a section is ignored there: a line of blanks, and a second header, whose
// properties then go to the first (a "merged" section). CR is white space and nothing more, so in a
// file with CRLF endings no line is empty and all sections merge.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Perl's \s for a byte string without the unicode_strings feature, as PVE's modules are compiled:
/// space, \t, \n, \v, \f and \r, but neither 0x85 nor 0xA0.
bool is_perl_space(char byte);
/// Without Perl white space at both ends.
std::string_view trim_perl_space(std::string_view text);

/// One property line of a section.
struct SectionProperty {
    std::string_view key;
    std::optional<std::string_view> value; ///< absent for a line with only a key
    std::size_t line = 0;                  ///< index into SectionFile::lines
};

/// A header and what Proxmox VE reads below it. Lines are indexes into SectionFile::lines.
struct Section {
    std::string_view id;
    std::string problem; ///< why the whole section is skipped; empty if it is not
    std::size_t header = 0;
    std::size_t end = 0; ///< one past its last line, without the line that ends it
    std::vector<SectionProperty> properties; ///< none in a skipped section
    std::vector<std::size_t> ignored;        ///< lines that Proxmox VE warns about and drops
};

/// The lines of one content and how Proxmox VE reads them. The views borrow from the content.
struct SectionFile {
    std::vector<std::string_view> lines; ///< without their line feeds
    bool ends_with_line_feed = true;     ///< also true for an empty file
    bool ends_inside_section = false;    ///< the next line would still belong to the last section
    std::vector<Section> sections;       ///< all, also skipped ones and earlier doubles
    std::vector<std::size_t> ignored;    ///< junk outside sections
};

/// Says whether a header's word is a valid id.
using HeaderRule = std::function<Result<void>(std::string_view)>;

/// Never fails: what Proxmox VE cannot read is in `problem` and `ignored`.
SectionFile parse_sections(std::string_view content, const HeaderRule& rule);

/// The one word of a line that would start a section where one can start; nothing otherwise.
std::optional<std::string_view> header_word(std::string_view line);

/// Collects changes of lines and gives the new content; every other byte stays. Line numbers are
/// those of the file it was made for.
class LineEditor {
public:
    explicit LineEditor(const SectionFile& file) : file_{&file} {}

    void remove(std::size_t line) { replaced_[line] = std::nullopt; }
    /// `text` without a line feed.
    void replace(std::size_t line, std::string text) { replaced_[line] = std::move(text); }
    /// Puts `text` before `line`, which may be one past the last; in the order of the calls.
    void insert(std::size_t line, std::string text) { inserted_[line].push_back(std::move(text)); }
    /// Adds a section at the end, closed by an empty line as Proxmox VE writes it.
    void append_section(std::string_view id, const std::vector<std::string>& property_lines);

    [[nodiscard]] bool is_empty() const {
        return replaced_.empty() && inserted_.empty() && appended_.empty();
    }
    /// `rule` as for parse_sections: to find whether the end still lies in a section.
    [[nodiscard]] std::string apply(const HeaderRule& rule) const;

private:
    [[nodiscard]] std::string edited_lines() const;

    const SectionFile* file_;
    std::map<std::size_t, std::optional<std::string>> replaced_;
    std::map<std::size_t, std::vector<std::string>> inserted_;
    std::string appended_;
};

/// The white space that new properties of `section` begin with: that of its first one, else a TAB.
std::string_view indentation_of(const SectionFile& file, const Section& section);

/// Removes the section's lines and the empty line that ends it.
void remove_section(LineEditor& editor, const SectionFile& file, const Section& section);

} // namespace vfskit::store
