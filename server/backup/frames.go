// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/leatstream/leat"
)

const (
	magic      = "leat-backup 1\n"
	magicWord  = "leat-backup "
	frameLines = 1 << 20  // bytes of lines after which a frame is closed
	frameMost  = 64 << 20 // of a frame, compressed or not: a line is at most some MiB
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func frameSum(number uint64, payload []byte) uint32 {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], number)
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, payload)
}

// frameWriter gathers lines into frames.
type frameWriter struct {
	to     io.Writer // the file and the hash
	sum    hash.Hash
	zip    *zstd.Encoder
	lines  bytes.Buffer
	number uint64
}

func newFrameWriter(to io.Writer) (*frameWriter, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	w := &frameWriter{sum: sha256.New(), zip: zip}
	w.to = io.MultiWriter(to, w.sum)
	_, err = io.WriteString(w.to, magic)
	return w, err
}

// line adds a line, which comes without its end.
func (w *frameWriter) line(b []byte) error {
	if len(b) >= frameMost-frameLines {
		return leat.Errorf(leat.KindInternal, "a row of %d bytes is too large for a backup", len(b))
	}
	w.lines.Write(b)
	w.lines.WriteByte('\n')
	if w.lines.Len() < frameLines {
		return nil
	}
	return w.flush()
}

func (w *frameWriter) flush() error {
	if w.lines.Len() == 0 {
		return nil
	}
	payload := w.zip.EncodeAll(w.lines.Bytes(), make([]byte, 8, 8+w.lines.Len()/4))
	w.lines.Reset()
	binary.LittleEndian.PutUint32(payload, uint32(len(payload)-8))
	binary.LittleEndian.PutUint32(payload[4:], frameSum(w.number, payload[8:]))
	w.number++
	_, err := w.to.Write(payload)
	return err
}

// end closes the last frame and writes the end.
func (w *frameWriter) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	defer w.zip.Close()
	whole := w.sum.Sum(nil)
	end := binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(w.number))
	_, err := w.to.Write(append(end, whole...))
	return err
}

// frameReader gives the lines back.
type frameReader struct {
	from   io.Reader // the file, into the hash
	sum    hash.Hash
	zip    *zstd.Decoder
	lines  []byte // of the frame at hand, that were not given yet
	buffer []byte
	number uint64
}

func newFrameReader(file io.Reader) (*frameReader, error) {
	zip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(frameMost))
	if err != nil {
		return nil, err
	}
	r := &frameReader{sum: sha256.New(), zip: zip}
	r.from = io.TeeReader(file, r.sum)
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r.from, head); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case string(head) == magic:
		return r, nil
	case bytes.HasPrefix(head, []byte(magicWord)):
		return nil, leat.Errorf(leat.KindUnsupported, "the backup has format %q and this program knows %q: use a newer leat", bytes.TrimSpace(head), magic[:len(magic)-1])
	}
	return nil, leat.Errorf(leat.KindCorrupt, "this is no backup of Leat, or its first bytes are damaged")
}

// line returns the next line without its end, valid until the next call; io.EOF after the last one, when the end of the file says that all
// of it was read as it was written. KindCorrupt for anything else.
func (r *frameReader) line() ([]byte, error) {
	for len(r.lines) == 0 {
		if err := r.frame(); err != nil {
			return nil, err
		}
	}
	line, rest, ended := bytes.Cut(r.lines, []byte("\n"))
	if !ended {
		return nil, damaged("frame %d does not end with a line", r.number-1)
	}
	r.lines = rest
	return line, nil
}

func damaged(format string, args ...any) error {
	return leat.Errorf(leat.KindCorrupt, "the backup is damaged: "+format, args...)
}

// short is what is said of a read that came to the end of the file.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it was cut short, or the backup never came to its end")
	}
	return err
}

func (r *frameReader) frame() error {
	before := r.sum.Sum(nil) // of everything before this frame, or the end
	var head [8]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return short(err)
	}
	length, sum := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if length == 0 {
		return r.end(uint64(sum), before)
	}
	if length > frameMost {
		return damaged("frame %d says that it has %d bytes", r.number, length)
	}
	r.buffer = append(r.buffer[:0], make([]byte, length)...)
	if _, err := io.ReadFull(r.from, r.buffer); err != nil {
		return short(err)
	}
	if frameSum(r.number, r.buffer) != sum {
		return damaged("frame %d does not match its checksum", r.number)
	}
	var err error
	if r.lines, err = r.zip.DecodeAll(r.buffer, nil); err != nil {
		return damaged("frame %d: %v", r.number, err)
	}
	r.number++
	return nil
}

func (r *frameReader) end(frames uint64, sum []byte) error {
	defer r.zip.Close()
	said := make([]byte, sha256.Size)
	if _, err := io.ReadFull(r.from, said); err != nil {
		return short(err)
	}
	if frames != r.number || !bytes.Equal(said, sum) {
		return damaged("its contents do not match the checksum at its end")
	}
	if n, err := io.ReadFull(r.from, make([]byte, 1)); n > 0 {
		return damaged("something follows its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}
