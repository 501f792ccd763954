package session

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What a text is sealed for. One that is sealed for something else is refused.
const (
	purposeSession = name
	purposeFlow    = name + flowCookie
)

const (
	// compressAbove is how long a text is that is compressed before it is sealed: the names of
	// many groups have much in common.
	compressAbove = 1024
	// maxPlain bounds what a sealed text opens to.
	maxPlain = 256 << 10
)

// keys are derived from one text.
type keys struct {
	from  []byte
	aead  cipher.AEAD // of sessions
	forms []byte      // signs forms
}

// current derives the keys again where what they come from has changed.
func (k *Keeper) current() (*keys, error) {
	from := k.config.Key()
	if known := k.keys.Load(); known != nil && bytes.Equal(known.from, from) {
		return known, nil
	}
	if len(from) == 0 {
		return nil, errors.New("there is no key for sessions yet")
	}
	sealing, err := hkdf.Key(sha256.New, from, nil, "penstock dashboard session", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key of sessions: %w", err)
	}
	forms, err := hkdf.Key(sha256.New, from, nil, "penstock dashboard form", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key of forms: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("use key of sessions: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("use key of sessions: %w", err)
	}
	fresh := &keys{from: from, aead: aead, forms: forms}
	k.keys.Store(fresh)
	return fresh, nil
}

// seal encrypts a value for one purpose.
func (k *Keeper) seal(purpose string, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encode session: %w", err)
	}
	keys, err := k.current()
	if err != nil {
		return "", err
	}
	if len(text) > compressAbove {
		if text, err = compress(text); err != nil {
			return "", fmt.Errorf("compress session: %w", err)
		}
	}
	nonce := make([]byte, keys.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(keys.aead.Seal(nonce, nonce, text, []byte(purpose))), nil
}

// unseal decrypts what seal made for the same purpose.
func (k *Keeper) unseal(purpose, sealed string, into any) error {
	keys, err := k.current()
	if err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < keys.aead.NonceSize() {
		return errors.New("no session")
	}
	nonce, text := raw[:keys.aead.NonceSize()], raw[keys.aead.NonceSize():]
	plain, err := keys.aead.Open(nil, nonce, text, []byte(purpose))
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	if len(plain) > 0 && plain[0] != '{' {
		if plain, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(plain[1:])), maxPlain)); err != nil {
			return fmt.Errorf("decompress session: %w", err)
		}
	}
	return json.Unmarshal(plain, into)
}

// compress puts a byte before the text that no JSON object begins with.
func compress(text []byte) ([]byte, error) {
	var short bytes.Buffer
	short.WriteByte(0)
	w, err := flate.NewWriter(&short, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return short.Bytes(), err
}
