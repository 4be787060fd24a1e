// The node's databases: real Pebble, opened as Nitro's fork of geth opens it.
package main

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/bloom"
	"github.com/cockroachdb/pebble/sstable"
	"github.com/cockroachdb/pebble/vfs"
)

const (
	valueBytes       = 4000
	memTableBytesMax = 1<<32 - 2
)

// slowDisk is a file system on which tables can be kept from being written, as by a disk that hangs:
// memtables then stay in memory until writes stall.
type slowDisk struct {
	vfs.FS
	mutex  sync.Mutex
	opened *sync.Cond
	hangs  bool
}

func newSlowDisk() *slowDisk {
	disk := &slowDisk{FS: vfs.Default}
	disk.opened = sync.NewCond(&disk.mutex)
	return disk
}

func (d *slowDisk) Create(name string) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		d.mutex.Lock()
		for d.hangs {
			d.opened.Wait()
		}
		d.mutex.Unlock()
	}
	return d.FS.Create(name)
}

func (d *slowDisk) hang(hangs bool) {
	d.mutex.Lock()
	d.hangs = hangs
	d.mutex.Unlock()
	d.opened.Broadcast()
}

type database struct {
	name         string
	folder       string
	cacheBytes   int64
	memTable     int // bytes of one
	memTables    int
	db           *pebble.DB
	disk         *slowDisk
	stalled      chan struct{}
	keys         int // that can be read
	written      uint64
	cachePeak    int64
	memTablePeak int64
}

func openDatabase(folder, name string, cacheMB, memTables int) (*database, error) {
	if cacheMB < pebbleMinimumMB {
		cacheMB = pebbleMinimumMB
	}
	d := &database{name: name, folder: filepath.Join(folder, name), disk: newSlowDisk(),
		cacheBytes: int64(cacheMB) * mib, memTables: memTables,
		memTable: cacheMB * mib / 2 / memTables, stalled: make(chan struct{}, 1)}
	if d.memTable > memTableBytesMax {
		d.memTable = memTableBytesMax
	}
	cache := pebble.NewCache(d.cacheBytes)
	defer cache.Unref()
	options := &pebble.Options{Cache: cache, FS: d.disk, MemTableSize: d.memTable,
		MemTableStopWritesThreshold: memTables, Logger: silent{},
		EventListener: &pebble.EventListener{WriteStallBegin: func(pebble.WriteStallBeginInfo) {
			select {
			case d.stalled <- struct{}{}:
			default:
			}
		}}}
	for i := 0; i < 7; i++ {
		options.Levels = append(options.Levels, pebble.LevelOptions{TargetFileSize: 2 * mib,
			FilterPolicy: bloom.FilterPolicy(10), Compression: pebble.NoCompression})
	}
	db, err := pebble.Open(d.folder, options)
	d.db = db
	return d, err
}

type silent struct{}

func (silent) Infof(string, ...interface{}) {}
func (silent) Fatalf(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "pebble: "+format+"\n", args...)
	os.Exit(1)
}

func key(number uint64) []byte {
	var bytes [8]byte
	binary.BigEndian.PutUint64(bytes[:], number)
	return bytes[:]
}

// seed gives the database one and a half times what its cache holds, past the memtables.
func (d *database) seed() error {
	if d.keys > 0 {
		return nil
	}
	path := d.folder + ".seed"
	file, err := vfs.Default.Create(path)
	if err != nil {
		return err
	}
	writer := sstable.NewWriter(file, sstable.WriterOptions{Compression: sstable.NoCompression,
		TableFormat: sstable.TableFormatRocksDBv2})
	value := make([]byte, valueBytes)
	rand.Read(value)
	count := int(d.cacheBytes * 3 / 2 / valueBytes)
	for i := 0; i < count; i++ {
		if err := writer.Set(key(uint64(i)), value); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	if err := d.db.Ingest([]string{path}); err != nil {
		return err
	}
	d.keys = count
	return nil
}

func (d *database) get(number uint64) error {
	_, closer, err := d.db.Get(key(number))
	if err == nil {
		err = closer.Close()
	}
	return err
}

// fillCache reads everything there is.
func (d *database) fillCache() error {
	if err := d.seed(); err != nil {
		return err
	}
	for i := 0; i < d.keys; i++ {
		if err := d.get(uint64(i)); err != nil {
			return err
		}
	}
	d.note()
	return nil
}

func (d *database) write(count int) error {
	value := make([]byte, valueBytes)
	rand.Read(value)
	for i := 0; i < count; i++ {
		d.written++
		if err := d.db.Set(key(1<<40+d.written), value, pebble.NoSync); err != nil {
			return err
		}
	}
	return nil
}

// fillMemTables writes until nothing more is taken: the disk hangs, writes stall.
func (d *database) fillMemTables() error {
	// Memtables begin at 256 KiB and double: let them reach their full size first.
	if err := d.write(2 * d.memTable / valueBytes); err != nil {
		return err
	}
	if err := d.db.Flush(); err != nil {
		return err
	}
	d.disk.hang(true)
	select {
	case <-d.stalled: // from the way here
	default:
	}
	go func() { _ = d.write((d.memTables + 1) * d.memTable / valueBytes) }()
	<-d.stalled
	d.note()
	return nil
}

// note keeps the greatest sizes seen.
func (d *database) note() (cache, memTables int64) {
	metrics := d.db.Metrics()
	cache, memTables = metrics.BlockCache.Size, int64(metrics.MemTable.Size)
	if cache > d.cachePeak {
		d.cachePeak = cache
	}
	if memTables > d.memTablePeak {
		d.memTablePeak = memTables
	}
	return cache, memTables
}
