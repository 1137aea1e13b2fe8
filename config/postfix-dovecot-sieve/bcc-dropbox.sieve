# /etc/dovecot/bcc-dropbox.sieve: writes the envelope recipient on top of the dropbox's mail.
# Compile it once, as root: sievec /etc/dovecot/bcc-dropbox.sieve
require ["editheader", "envelope", "variables"];

if envelope :domain :is "to" "drop.example.com" {
  # A sender's own goes first. (${envelope.to} would need another extension; a match gives the same.)
  deleteheader "X-Drop-Rcpt";

  # No verdict is believed, since none can be told from a forged one here. ../sender-authentication says what has to
  # be in place before this line goes.
  deleteheader "Authentication-Results";

  if envelope :matches "to" "*" {
    set "rcpt" "${1}";
    addheader "X-Drop-Rcpt" "${rcpt}";
  }
}
