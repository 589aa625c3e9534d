package transaction

import (
	crand "crypto/rand"
	"math/rand/v2"
)

// A branch that we mint is the magic cookie, the shard in two characters and 64
// random bits in thirteen. The bits are the transaction's key, so a response
// finds its transaction without hashing, and nobody off the path can guess it.
const (
	cookie      = "z9hG4bK" // RFC 3261 §8.1.1.7
	shardDigits = 2
	nonceDigits = 13
	branchSize  = len(cookie) + shardDigits + nonceDigits
)

// MaxShards is how many shards a branch can tell apart.
const MaxShards = 1 << (5 * shardDigits)

// digits are letters that no one misreads, in lower case: a peer that changes
// the case of a token does no harm.
const digits = "0123456789abcdefghjkmnpqrstvwxyz"

// digitValue is the inverse of digits for both cases, 0xff elsewhere.
var digitValue = func() (value [256]byte) {
	for i := range value {
		value[i] = 0xff
	}
	for i, d := range []byte(digits) {
		value[d] = byte(i)
		if d >= 'a' {
			value[d-'a'+'A'] = byte(i)
		}
	}
	return value
}()

// BranchShard returns the shard that minted branch; ours is false for a branch
// that no layer of ours can have minted. It may be called from anywhere.
func BranchShard(branch []byte) (shard int, ours bool) {
	shard, _, ours = readBranch(branch)
	return shard, ours
}

// MintBranch appends a branch for one request of this layer.
func (l *Layer) MintBranch(b []byte) []byte {
	nonce := l.random.Uint64()
	b = append(b, cookie...)
	b = append(b, digits[l.shard>>5&31], digits[l.shard&31])
	for shift := 5 * (nonceDigits - 1); shift >= 0; shift -= 5 {
		b = append(b, digits[nonce>>shift&31])
	}
	return b
}

func readBranch(branch []byte) (shard int, nonce uint64, ok bool) {
	if len(branch) != branchSize || !hasCookie(branch) {
		return 0, 0, false
	}
	bad := byte(0)
	for _, c := range branch[len(cookie) : len(cookie)+shardDigits] {
		v := digitValue[c]
		bad |= v
		shard = shard<<5 | int(v&31)
	}
	rest := branch[len(cookie)+shardDigits:]
	if digitValue[rest[0]] > 15 { // 65 bits are there, 64 are used
		return 0, 0, false
	}
	for _, c := range rest {
		v := digitValue[c]
		bad |= v
		nonce = nonce<<5 | uint64(v&31)
	}
	return shard, nonce, bad < 0x80
}

func hasCookie(branch []byte) bool {
	if len(branch) < len(cookie) {
		return false
	}
	if string(branch[:len(cookie)]) == cookie {
		return true
	}
	for i := range len(cookie) { // tokens are compared without case (RFC 3261 §7.3.1)
		if branch[i]|0x20 != cookie[i]|0x20 {
			return false
		}
	}
	return true
}

// newRandom returns a generator that nobody can predict.
func newRandom() *rand.ChaCha8 {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return rand.NewChaCha8(seed)
}
