// Says what Go itself makes of texts that Felix reads with its libraries: one JSON value a line in, one a line out. The tests hold our readers to it.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/go-ini/ini"
)

type question struct {
	Kind  string   `json:"kind"`
	Text  string   `json:"text"`
	Names []string `json:"names"`
}

type answer struct {
	Error   string            `json:"error,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
	Matches []bool            `json:"matches,omitempty"`
	Value   string            `json:"value,omitempty"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<26)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			panic(err)
		}
		said, err := answerTo(asked)
		if err != nil {
			said = answer{Error: err.Error()}
		}
		if err := encoder.Encode(said); err != nil {
			panic(err)
		}
	}
}

func answerTo(asked question) (answer, error) {
	switch asked.Kind {
	case "ini":
		// with the options that Felix passes: none
		file, err := ini.Load([]byte(asked.Text))
		if err != nil {
			return answer{}, err
		}
		values := map[string]string{}
		for _, section := range file.Sections() {
			for _, key := range section.Keys() {
				values[key.Name()] = key.Value()
			}
		}
		return answer{Values: values}, nil
	case "regexp":
		pattern, err := regexp.Compile(asked.Text)
		if err != nil {
			return answer{}, err
		}
		matches := make([]bool, len(asked.Names))
		for i, name := range asked.Names {
			matches[i] = pattern.MatchString(name)
		}
		return answer{Matches: matches}, nil
	case "int":
		value, err := strconv.ParseInt(asked.Text, 0, 64)
		return answer{Value: strconv.FormatInt(value, 10)}, err
	case "uint":
		value, err := strconv.ParseUint(asked.Text, 0, 32)
		return answer{Value: strconv.FormatUint(value, 10)}, err
	case "float":
		value, err := strconv.ParseFloat(asked.Text, 64)
		return answer{Value: strconv.FormatFloat(value, 'g', -1, 64)}, err
	case "duration":
		value, err := time.ParseDuration(asked.Text)
		return answer{Value: strconv.FormatInt(int64(value), 10)}, err
	}
	panic(asked.Kind)
}
