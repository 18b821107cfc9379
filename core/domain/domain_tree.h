// SPDX-License-Identifier: Apache-2.0
// Where things are in a domain's tree.
#pragma once

#include "core/domain/domain_xml.h"
#include "core/domain/xml_tree.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::domain {

/// A document whose root is libvirt's <domain>.
Result<xml::Document> parse_domain_document(std::string text);
Result<Domain> read_domain(const xml::Document& document);

/// <filesystem> elements in document order.
std::vector<const xml::Element*> filesystem_elements(const xml::Element& root);
std::vector<const xml::Element*> numa_cells(const xml::Element& root);

/// Our <shares> in <metadata>, and its <share> for a tag; null when there is none.
const xml::Element* find_shares_record(const xml::Element& root);
const xml::Element* find_share_record(const xml::Element& root, std::string_view tag);
std::optional<std::string> find_recorded_dirid(const xml::Element& root, std::string_view tag);

} // namespace vfskit::domain
