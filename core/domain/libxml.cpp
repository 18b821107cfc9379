// SPDX-License-Identifier: Apache-2.0
#include "core/domain/libxml.h"

#include "core/base/text.h"

#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

namespace vfskit::domain::xml {

void LibxmlDeleter::operator()(_xmlParserCtxt* value) const {
    xmlFreeParserCtxt(value);
}

void LibxmlDeleter::operator()(_xmlDoc* value) const {
    xmlFreeDoc(value);
}

void LibxmlDeleter::operator()(_xmlRelaxNG* value) const {
    xmlRelaxNGFree(value);
}

void LibxmlDeleter::operator()(_xmlRelaxNGParserCtxt* value) const {
    xmlRelaxNGFreeParserCtxt(value);
}

void LibxmlDeleter::operator()(_xmlRelaxNGValidCtxt* value) const {
    xmlRelaxNGFreeValidCtxt(value);
}

std::string message_of(const _xmlError* error) {
    if (error == nullptr || error->message == nullptr) {
        return "no reason given";
    }
    return std::string{base::trim(error->message)};
}

} // namespace vfskit::domain::xml
