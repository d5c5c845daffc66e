//! Causes about certificates.

use super::{Entry, inferred, proven};

pub(super) const ENTRIES: &[Entry] = &[
    proven(
        "X509_CHAIN_INCOMPLETE",
        "A certificate is missing between the device's and the enrolled one",
        "The chain that the device presented ends at a certificate whose issuer was not sent and is not enrolled.",
        "Send the whole chain: the device's certificate followed by each intermediate certificate, in one file.",
    ),
    proven(
        "X509_NO_VERIFIED_ANCHOR",
        "The chain leads to a CA certificate that is not verified",
        "The chain leads to an uploaded CA certificate whose key nobody has proven to hold.",
        "Verify the CA certificate: generate a code, sign a certificate for it with the CA's key, upload that.",
    ),
    proven(
        "X509_NO_GROUP_FOR_CA",
        "No enrollment group trusts the CA that the chain leads to",
        "The chain leads to a CA certificate that was uploaded and verified, but no enrollment group names it.",
        "Create an enrollment group for the CA certificate.",
    ),
    inferred(
        "X509_ISSUER_UNKNOWN",
        "No enrollment group knows the device's issuer",
        "The device presented a chain that no enrollment group's certificate is named by.",
        "Create an enrollment group for the issuer, or send the intermediate certificates that lead to an enrolled one.",
    ),
    proven(
        "X509_CHAIN_TOO_LONG",
        "The chain has more certificates than are read",
        "More certificates were presented than this service reads.",
        "Send the device's certificate and the intermediate ones alone; roots and foreign certificates are not needed.",
    ),
    proven(
        "X509_CERTIFICATE_TOO_LARGE",
        "A certificate is larger than is read",
        "A certificate of the chain has more bytes than this service reads.",
        "Issue the certificate without what makes it large.",
    ),
    proven(
        "X509_CERTIFICATE_MALFORMED",
        "A certificate cannot be read",
        "Bytes of the chain are no X.509 certificate.",
        "Look at the file that the device sends: openssl x509 -in FILE -noout -text.",
    ),
    proven(
        "X509_COMMON_NAME_MISSING",
        "The device's certificate has no single common name",
        "The subject's common name is the registration id, so there must be exactly one.",
        "Issue the certificate with CN={registrationId}.",
    ),
    proven(
        "X509_COMMON_NAME_MISMATCH",
        "The certificate's common name is not the registration id",
        "A device registers under its certificate's common name.",
        "Let the device register under the common name, or issue a certificate for the id that it uses.",
    ),
    proven(
        "X509_CERTIFICATE_NOT_ENROLLED",
        "The device's certificate is not the enrolled one",
        "An individual enrollment accepts exactly its primary and its secondary certificate, by thumbprint.",
        "Enroll the certificate that the device presents as secondary; afterwards make it primary.",
    ),
    proven(
        "X509_CERTIFICATE_EXPIRED",
        "A certificate has expired",
        "A certificate on the path to the enrolled one is beyond its notAfter.",
        "Renew the certificate; if the whole path was renewed, enroll the new CA certificate as secondary.",
    ),
    proven(
        "X509_CERTIFICATE_NOT_YET_VALID",
        "A certificate is not valid yet",
        "A certificate on the path begins in the future: the clock of whoever issued it is ahead, or this server's behind.",
        "Issue certificates with a notBefore some minutes in the past; compare the clocks.",
    ),
    proven(
        "X509_LEAF_IS_CA",
        "The device presented the group's own signing certificate",
        "The certificate of the enrollment group was installed on the device as its own.",
        "Issue a certificate for the device, signed by that CA, with CN={registrationId}; and take the CA's key off the device.",
    ),
    proven(
        "X509_SIGNER_NOT_IN_CHAIN",
        "The chain ends at another root",
        "The chain is complete, but no certificate in it is the enrollment group's or signed by it.",
        "Issue the device's certificate from the enrolled CA, or create a group for the CA that issued it.",
    ),
    proven(
        "X509_SIGNER_REISSUED",
        "The CA was issued anew with another key",
        "The chain names the enrolled CA's subject, but another key signed: same name, another key.",
        "Enroll the new CA certificate as the group's secondary, or issue the device's certificate with the enrolled key.",
    ),
    proven(
        "X509_SIGNATURE_INVALID",
        "A signature on the path is wrong",
        "Names and key identifiers fit, but the issuer's key did not make the signature: the certificate was changed or mixed up.",
        "Issue the certificate anew.",
    ),
    proven(
        "X509_SIGNATURE_ALGORITHM_REFUSED",
        "A certificate is signed in a way that is not accepted",
        "SHA-1, an unknown algorithm or a short RSA key.",
        "Issue the certificate with ECDSA P-256 or RSA of 2048 bits and SHA-256.",
    ),
    proven(
        "X509_ISSUER_NOT_CA",
        "A certificate that signed another is none of a CA",
        "BasicConstraints with CA:TRUE is missing in a certificate that signed another.",
        "Issue the CA certificate with basicConstraints=critical,CA:TRUE.",
    ),
    proven(
        "X509_ISSUER_MAY_NOT_SIGN",
        "A CA's key usage does not allow it to sign certificates",
        "keyUsage of a CA certificate lacks keyCertSign.",
        "Issue the CA certificate with keyUsage=critical,keyCertSign,cRLSign.",
    ),
    proven(
        "X509_PATH_LENGTH_EXCEEDED",
        "More CA certificates stand below one than it allows",
        "pathlen of a CA certificate is smaller than the number of CA certificates below it.",
        "Issue the CA certificate with a larger pathlen, or shorten the chain.",
    ),
    proven(
        "X509_CRITICAL_EXTENSION",
        "A CA certificate has a critical extension that is not understood",
        "A critical extension must be understood by whoever relies on the certificate; this one is not.",
        "Issue the CA certificate without the extension, or with it not critical.",
    ),
    proven(
        "X509_NAME_CONSTRAINT_VIOLATED",
        "A name is outside what a CA may issue",
        "A CA certificate's name constraints do not allow a name below it.",
        "Issue a certificate with a name that is allowed, or the CA certificate with other constraints.",
    ),
    proven(
        "X509_TOO_MANY_SIGNATURE_CHECKS",
        "The chain asks for too many signature checks",
        "No path was found within the number of checks that one request gets.",
        "Send only the certificates of the device's own path.",
    ),
    proven(
        "X509_CA_NOT_VERIFIED",
        "The enrollment refers to a CA certificate that is not verified",
        "An enrollment that refers to an uploaded CA certificate by name is usable when that one is verified.",
        "Verify the CA certificate: generate a code, sign a certificate for it with the CA's key, upload that.",
    ),
    proven(
        "X509_CA_REFERENCE_UNRESOLVED",
        "The enrollment refers to a CA certificate that does not exist",
        "No CA certificate was uploaded under the name, or it was deleted since.",
        "Upload the CA certificate under that name, or correct the enrollment.",
    ),
];
