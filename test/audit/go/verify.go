// Command verify checks an enforcecore audit trail with nothing but golang.org/x/mod/sumdb:
// it knows the line format, and leaves every hash, tree and signature to that package.
//
//	verify VKEY CHECKPOINT SEGMENT...
//	verify -inclusion VKEY PROOF LINE
//	verify -consistency VKEY OLDER PROOF
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const sealLength = len(`,"entry_hash":"`) + 64 + len(`"}`)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("OK")
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "-inclusion":
		return checkInclusion(args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "-consistency":
		return checkConsistency(args[1], args[2], args[3])
	case len(args) >= 3:
		return checkTrail(args[0], args[1], args[2:])
	}
	return fmt.Errorf("usage: verify VKEY CHECKPOINT SEGMENT...")
}

type head struct {
	size int64
	root tlog.Hash
}

func openNote(vkey string, text []byte) (head, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return head{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return head{}, fmt.Errorf("malformed checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return head{size, root}, err
}

// leaf returns the hashed content of a stored line, without its line feed.
func leaf(line []byte) ([]byte, error) {
	if len(line) < sealLength {
		return nil, fmt.Errorf("short line")
	}
	content := append(append([]byte{}, line[:len(line)-sealLength]...), '}')
	hash := tlog.RecordHash(content)
	if hex.EncodeToString(hash[:]) != string(line[len(line)-66:len(line)-2]) {
		return nil, fmt.Errorf("hash mismatch")
	}
	return content, nil
}

func checkTrail(vkey, checkpoint string, segments []string) error {
	text, err := os.ReadFile(checkpoint)
	if err != nil {
		return err
	}
	signed, err := openNote(vkey, text)
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	var size int64
	for _, name := range segments {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		scanner := bufio.NewScanner(file)
		scanner.Buffer(make([]byte, 1<<16), 1<<17)
		for size < signed.size && scanner.Scan() {
			content, err := leaf(scanner.Bytes())
			if err != nil {
				return fmt.Errorf("%v at entry %d", err, size)
			}
			hashes, err := tlog.StoredHashes(size, content, reader)
			if err != nil {
				return err
			}
			stored = append(stored, hashes...)
			size++
		}
		file.Close()
	}
	if size < signed.size {
		return fmt.Errorf("truncated: %d of %d entries", size, signed.size)
	}
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return err
	}
	if root != signed.root {
		return fmt.Errorf("root mismatch")
	}
	return nil
}

func splitProof(path string) (first string, hashes []tlog.Hash, checkpoint []byte, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	split := bytes.Index(text, []byte("\n\n"))
	if split < 0 {
		return "", nil, nil, fmt.Errorf("malformed proof")
	}
	lines := strings.Split(string(text[:split]), "\n")
	if lines[0] == "c2sp.org/tlog-proof@v1" {
		lines = lines[1:]
	}
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return "", nil, nil, fmt.Errorf("malformed hash")
		}
		hashes = append(hashes, *(*tlog.Hash)(raw))
	}
	return lines[0], hashes, text[split+2:], nil
}

func checkInclusion(vkey, path, linePath string) error {
	first, hashes, checkpoint, err := splitProof(path)
	if err != nil {
		return err
	}
	signed, err := openNote(vkey, checkpoint)
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(first, "index "), 10, 64)
	if err != nil {
		return err
	}
	line, err := os.ReadFile(linePath)
	if err != nil {
		return err
	}
	content, err := leaf(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, signed.size, signed.root, index, tlog.RecordHash(content))
}

func checkConsistency(vkey, olderPath, path string) error {
	first, hashes, checkpoint, err := splitProof(path)
	if err != nil {
		return err
	}
	newer, err := openNote(vkey, checkpoint)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(olderPath)
	if err != nil {
		return err
	}
	older, err := openNote(vkey, text)
	if err != nil {
		return err
	}
	if first != fmt.Sprintf("old %d", older.size) {
		return fmt.Errorf("wrong old size")
	}
	return tlog.CheckTree(hashes, newer.size, newer.root, older.size, older.root)
}
