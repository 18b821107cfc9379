// SPDX-License-Identifier: Apache-2.0
#include "core/domain/kubevirt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;

KubevirtShare share_of(KubevirtSource source, std::string object) {
    KubevirtShare share;
    share.name = "media";
    share.source = source;
    share.object = std::move(object);
    return share;
}

std::string instance(const KubevirtShare& share) {
    const KubevirtShare shares[] = {share};
    const auto text = kubevirt_instance("guest", shares);
    return text ? *text : text.error().describe();
}

TEST(Kubevirt, SharesAClaim) {
    EXPECT_EQ(instance(share_of(KubevirtSource::persistent_volume_claim, "media-claim")),
              "apiVersion: kubevirt.io/v1\n"
              "kind: VirtualMachineInstance\n"
              "metadata:\n"
              "  name: \"guest\"\n"
              "spec:\n"
              "  domain:\n"
              "    devices:\n"
              "      filesystems:\n"
              "        - name: \"media\"\n"
              "          virtiofs: {}\n"
              "  volumes:\n"
              "    - name: \"media\"\n"
              "      persistentVolumeClaim:\n"
              "        claimName: \"media-claim\"\n");
}

TEST(Kubevirt, SharesConfigMapSecretAndServiceAccount) {
    EXPECT_THAT(instance(share_of(KubevirtSource::config_map, "settings")),
                HasSubstr("      configMap:\n        name: \"settings\"\n"));
    EXPECT_THAT(instance(share_of(KubevirtSource::secret, "keys")),
                HasSubstr("      secret:\n        secretName: \"keys\"\n"));
    EXPECT_THAT(instance(share_of(KubevirtSource::service_account, "default")),
                HasSubstr("      serviceAccount:\n        serviceAccountName: \"default\"\n"));
}

TEST(Kubevirt, SharesTheDownwardApi) {
    EXPECT_THAT(instance(share_of(KubevirtSource::downward_api, "")),
                HasSubstr("      downwardAPI:\n"
                          "        fields:\n"
                          "          - path: \"labels\"\n"
                          "            fieldRef:\n"
                          "              fieldPath: \"metadata.labels\"\n"));
}

TEST(Kubevirt, RefusesNamesThatKubernetesRefuses) {
    auto upper = share_of(KubevirtSource::secret, "keys");
    upper.name = "Media";

    EXPECT_THAT(instance(upper), HasSubstr("'Media' cannot name a volume"));
    EXPECT_THAT(instance(share_of(KubevirtSource::secret, "a_b")),
                HasSubstr("'a_b' is not the name of a Kubernetes object"));
}

TEST(Kubevirt, RefusesAFieldThatClimbs) {
    auto share = share_of(KubevirtSource::downward_api, "");
    share.fields = {{"../x", "metadata.labels"}};

    EXPECT_THAT(instance(share), HasSubstr("not a relative file"));
}

TEST(Kubevirt, RefusesAShareGivenTwice) {
    const KubevirtShare shares[] = {share_of(KubevirtSource::secret, "a"),
                                    share_of(KubevirtSource::secret, "b")};

    EXPECT_FALSE(kubevirt_instance("guest", shares));
}

TEST(Kubevirt, SuggestsTheNearestSource) {
    EXPECT_EQ(*parse_kubevirt_source("pvc"), KubevirtSource::persistent_volume_claim);
    EXPECT_EQ(parse_kubevirt_source("secrets").error().remedy(), "Did you mean 'secret'?");
}

} // namespace
} // namespace vfskit::domain
